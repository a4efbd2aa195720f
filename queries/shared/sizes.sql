-- Where a question begins to look for the sizes of before `since`: at midnight (UTC), so that whole days are asked for.
CREATE OR REPLACE MACRO looks_back_to(since, days_before) AS
  CASE
    WHEN days_before > 0 THEN instant(utc_day(instant(since)) - least(days_before, 30)::INTEGER)
    ELSE instant(since)
  END;

-- The days from `since` to `until` that the router has rows of. `is_kept` says that `asset_sizes` tell all of a day; of the
-- other days the router's rows must be read, from `drainlake_unsized`, which is the router with all days or these.
CREATE OR REPLACE MACRO asset_days(since, until) AS TABLE
SELECT date, has_sizes AS is_kept FROM drainlake_router_days WHERE has_part_of(date, since, until);
