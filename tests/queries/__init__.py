"""Tests of the questions, the catalog and lake.duckdb."""
