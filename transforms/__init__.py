"""From the event log to the Parquet lake: landing, lake files, retention, route templates, imports."""
