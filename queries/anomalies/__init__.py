"""Anomalies under an alarm budget: series in, alarms out, incidents of alarms that have one cause."""
