"""One .sql file per question, and the catalog that installs them as DuckDB table macros."""
