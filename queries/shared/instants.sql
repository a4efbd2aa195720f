-- Times as every question takes them. A caller may give a TIMESTAMPTZ, a DATE, a TIMESTAMP or a text; what names
-- no zone is UTC. DuckDB's own casts would read those in the session's time zone, and the same call would answer
-- differently on another machine. A letter or sign after the first colon is a zone: only then may the text be
-- cast as it is.
CREATE OR REPLACE MACRO instant(moment) AS
  CASE
    WHEN regexp_matches(moment::VARCHAR, ':.*[A-Za-z+-]') THEN moment::VARCHAR::TIMESTAMPTZ
    ELSE moment::VARCHAR::TIMESTAMP AT TIME ZONE 'UTC'
  END;

CREATE OR REPLACE MACRO utc_day(moment) AS (moment AT TIME ZONE 'UTC')::DATE;

-- Whether a day (UTC) has a part of [since, until); NULL leaves a side open.
CREATE OR REPLACE MACRO has_part_of(day, since, until) AS
  (since IS NULL OR day >= utc_day(instant(since)))
  AND (until IS NULL OR day <= utc_day(instant(until) - INTERVAL 1 MICROSECOND));

-- In which step of `width_us` since 1970 a moment lies; before 1970 DuckDB's division would give the step after it.
CREATE OR REPLACE MACRO steps_since_1970(moment_us, width_us) AS
  (moment_us + 72000000000000000 // width_us * width_us) // width_us - 72000000000000000 // width_us;

-- date_trunc alone would cut at the session's hour, which begins at :30 in India, and in a zone takes ten times as long.
CREATE OR REPLACE MACRO utc_hour(moment) AS
  CASE
    WHEN isfinite(moment)
      THEN make_timestamptz(epoch_us(moment) - ((epoch_us(moment) % 3600000000) + 3600000000) % 3600000000)
    ELSE moment
  END;

-- When the hour ends that a moment lies in; where an hour begins, that moment.
CREATE OR REPLACE MACRO utc_hour_end(moment) AS utc_hour(moment - INTERVAL 1 MICROSECOND) + INTERVAL 1 HOUR;

-- The minutes of the clock that a window touches: from the beginning of its first to the end of its last.
CREATE OR REPLACE MACRO first_minute(since) AS date_trunc('minute', instant(since));

CREATE OR REPLACE MACRO last_minute_end(until) AS
  date_trunc('minute', instant(until) + INTERVAL 1 MINUTE - INTERVAL 1 MICROSECOND);
