-- Where a question begins to look for the sizes of before `since`: at midnight (UTC), so that whole days are asked for.
CREATE OR REPLACE MACRO looks_back_to(since, days_before) AS
  CASE
    WHEN days_before > 0 THEN instant(utc_day(instant(since)) - least(days_before, 30)::INTEGER)
    ELSE instant(since)
  END;

CREATE OR REPLACE MACRO is_inside_hour(moment, hour_number) AS
  coalesce(epoch_us(instant(moment)) - hour_number * 3600000000 BETWEEN 1 AND 3599999999, false);

-- The hours of the days from `since` to `until` that the router has rows of. `is_kept` says that `asset_sizes` tell all
-- of an hour: if those of its day were made from as many rows as there are now, and the hour lies on one side of `since`,
-- `middle` and `until`. Of the other hours the router's rows must be read.
CREATE OR REPLACE MACRO asset_hours(since, middle, until) AS TABLE
WITH days AS (
  SELECT date, coalesce(rows_kept = rows_there, false) AS is_kept
  FROM (SELECT date, rows AS rows_there FROM drainlake_router_rows WHERE has_part_of(date, since, until))
  LEFT JOIN (
    SELECT date, sum(responses) AS rows_kept
    FROM asset_sizes
    WHERE path IS NULL AND has_part_of(date, since, until)
    GROUP BY date
  ) USING (date)
)
SELECT
  date,
  hour,
  is_kept
    AND NOT is_inside_hour(since, hour)
    AND NOT is_inside_hour(middle, hour)
    AND NOT is_inside_hour(until, hour) AS is_kept
FROM (
  SELECT day.date, day.is_kept, 24 * (day.date - DATE '1970-01-01') + unnest(range(24)) AS hour
  FROM (
    -- Through a list, since DuckDB takes the days for as many as requests and would join the other way round: that reads
    -- all requests before it looks for hours.
    SELECT unnest(list({'date': date, 'is_kept': is_kept})) AS day FROM days
  )
);

CREATE OR REPLACE MACRO router_by_hour(since, until, app_name) AS TABLE
  SELECT *, steps_since_1970(epoch_us(timestamp), 3600000000) AS hour FROM router_between(since, until, app_name);
