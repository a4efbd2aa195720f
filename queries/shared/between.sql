-- The rows of one table in [since, until) of one app, or of all; NULL leaves a side open. `date` is compared
-- beside `timestamp` because only `date` lets DuckDB leave out whole files: without it a question about an hour
-- opens every file of the lake.
CREATE OR REPLACE MACRO ${table}_between(since, until, app_name) AS TABLE
  SELECT *
  FROM ${table}
  WHERE (since IS NULL OR timestamp >= instant(since))
    AND (until IS NULL OR timestamp < instant(until))
    AND has_part_of(date, since, until)
    AND (app_name IS NULL OR app = app_name);
