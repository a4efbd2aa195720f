-- Where a question begins to look for the sizes of before `since`: at midnight (UTC), so that whole days are asked for.
CREATE OR REPLACE MACRO looks_back_to(since, days_before) AS
  CASE
    WHEN days_before > 0 THEN instant(utc_day(instant(since)) - least(days_before, 30)::INTEGER)
    ELSE instant(since)
  END;
