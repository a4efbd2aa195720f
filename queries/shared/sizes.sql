-- Where a question begins to look for the sizes of before `since`: at midnight (UTC), so that whole days are asked for.
CREATE OR REPLACE MACRO looks_back_to(since, days_before) AS
  CASE
    WHEN days_before > 0 THEN instant(utc_day(instant(since)) - least(days_before, 30)::INTEGER)
    ELSE instant(since)
  END;

-- The days from `since` to `until` that the router has rows of. `is_kept` says that `asset_sizes` tell all of a day: they
-- were made from as many rows as there are now. Of the other days the router's rows must be read.
CREATE OR REPLACE MACRO asset_days(since, until) AS TABLE
SELECT date, coalesce(rows_kept = rows_there, false) AS is_kept
FROM (SELECT date, rows AS rows_there FROM drainlake_router_rows WHERE has_part_of(date, since, until))
LEFT JOIN (
  SELECT date, sum(responses) AS rows_kept
  FROM asset_sizes
  WHERE path IS NULL AND has_part_of(date, since, until)
  GROUP BY date
) USING (date);
