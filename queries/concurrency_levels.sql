-- question: For how much of the time were so many requests in flight at once?
-- one row per: app, or dyno or route of an app, and number of requests in flight, from 0 to the peak
-- parameters:
--   since: First instant looked at (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
--   per: What to count by: 'app', 'dyno' or 'route'.
-- columns:
--   app VARCHAR: The app.
--   key VARCHAR: The app, dyno or route counted by; a route is NULL when the line had no path.
--   level BIGINT: A number of requests in flight, counted as in peak_concurrency, those of an imported load balancer's log too; the highest is the peak. What ended more than 10 minutes after the window may be missing.
--   at_least_seconds DOUBLE: Seconds, to the microsecond, in which that many or more were in flight.
--   at_least_share DOUBLE: Their part of the time looked at, from 0 to 1: from the start of the app's first request in the window to the end of its last.
--   at_most_share DOUBLE: Part of the time with that many or fewer in flight, from 0 to 1; for "99.9 % of the time at most N" take the first level with 0.999 or more.
--   is_lower_bound BOOLEAN: True when an H12 (at a load balancer a 504) was among the requests, whose worker went on unseen, or lines of the app were lost in the window: then the seconds are at least so many, and at_most_share is too high rather than too low.
-- cost: Footers tell how many rows the router has of each day, and those of days that minutes do not fit are counted by the hour; times of whole hours are kept in minutes, and only of hours that minutes do not fit (new rows, imports), and of the first and the last where they are not whole, the starts and ends are sorted.
-- example: SELECT app, key, min(level) FROM concurrency_levels(since := now() - INTERVAL 1 DAY, per := 'dyno') WHERE at_most_share >= 0.999 GROUP BY ALL
CREATE OR REPLACE MACRO concurrency_levels(since := NULL, until := NULL, app_name := NULL, per := 'app') AS TABLE
WITH hours AS MATERIALIZED (
  -- An hour that begins with the window is whole here, too. A peak in it may be another than minutes tell: what was in
  -- flight before counts as begun with the window.
  SELECT * REPLACE (
    is_known OR coalesce(is_bounded AND begins_at = instant(since) AND (until IS NULL OR ends_at <= instant(until)), false)
      AS is_known
  )
  FROM hours_between(since, until, app_name)
),
-- What minutes tell of whole hours.
known AS MATERIALIZED (
  SELECT
    app,
    CASE WHEN per = 'app' THEN app ELSE key END AS key,
    epoch_us(in_flight_from) AS first_us,
    epoch_us(in_flight_until) AS last_us,
    level_us,
    has_timeout
  FROM (
    SELECT *, steps_since_1970(epoch_us(timestamp), 3600000000) AS hour
    FROM minutes_of(per, since, until, app_name)
    WHERE level_us IS NOT NULL
  )
  SEMI JOIN (FROM hours WHERE is_known) USING (app, hour)
),
-- The other hours, to be read; those that follow each other are one stretch, at whose ends requests are cut.
stretches AS (
  SELECT
    app,
    min(hour) AS first_hour,
    max(hour) AS last_hour,
    greatest(min(hour) * 3600000000, epoch_us(instant(since))) AS from_us,
    least((max(hour) + 1) * 3600000000, epoch_us(instant(until))) AS to_us
  FROM (SELECT app, hour, hour - row_number() OVER (PARTITION BY app ORDER BY hour) AS stretch FROM hours WHERE NOT is_known)
  GROUP BY app, stretch
),
-- What was in flight in them may be logged later. A list tells the planner that these hours are few; else it would hold
-- the router's rows in memory to look for them. Of hours that are looked for together all rows from the first to the last
-- are looked at: those in which the window begins are looked for apart, since mostly the others are at its end.
read_hours AS MATERIALIZED (
  SELECT unnest(list(read_hour), recursive := true)
  FROM (
    SELECT
      hours.app,
      hours.hour,
      date,
      begins_at,
      ends_at,
      from_us,
      to_us,
      coalesce(from_us <= epoch_us(instant(since)), false) AS is_at_begin
    FROM hours JOIN stretches ON stretches.app = hours.app
    WHERE hours.first_hour <= last_hour AND hours.hour >= stretches.first_hour AND from_us < to_us
  ) AS read_hour
),
-- The CTEs that hold a row per request are read again rather than materialized, as in peak_concurrency.
logged AS NOT MATERIALIZED (
  SELECT *, steps_since_1970(epoch_us(timestamp), 3600000000) AS hour FROM served_between(since, until, app_name)
),
in_flight AS NOT MATERIALIZED (
  SELECT
    app,
    flight_key(per, app, dyno, route) AS key,
    timed_out,
    greatest(start_us, from_us) AS start_us,
    least(end_us, to_us) AS end_us
  FROM (
    FROM logged JOIN (FROM read_hours WHERE is_at_begin) USING (app, date, hour)
    UNION ALL
    FROM logged JOIN (FROM read_hours WHERE NOT is_at_begin) USING (app, date, hour)
  )
  WHERE timestamp >= begins_at AND timestamp < ends_at AND start_us < to_us AND end_us > from_us
),
groups AS MATERIALIZED (
  SELECT *, row_number() OVER ()::INTEGER AS id -- as BIGINT it takes half again as long to sort by it and a moment
  FROM (
    SELECT app, key, min(start_us) AS first_us, max(end_us) AS last_us, bool_or(timed_out) AS has_timeout
    FROM in_flight
    GROUP BY app, key
  )
),
moments AS NOT MATERIALIZED (
  SELECT id, flight_moment(is_start, start_us, end_us) AS moment
  FROM in_flight
  JOIN (SELECT unnest(list(groups), recursive := true) FROM groups) AS named
    ON named.app = in_flight.app AND named.key IS NOT DISTINCT FROM in_flight.key
  CROSS JOIN (VALUES (true), (false)) AS sides (is_start)
),
-- In the order of all keys, since the steps of each add up to nothing. DuckDB keeps the order of a sorted subquery for a
-- window without one of its own, and goes along it row by row; a window that sorts would add up each row's steps anew.
steps AS NOT MATERIALIZED (
  SELECT
    id,
    moment >> 1 AS at_us,
    flight_change(moment) AS step,
    sum(flight_change(moment)) OVER (ROWS UNBOUNDED PRECEDING)::BIGINT AS reached
  FROM (SELECT id, moment FROM moments ORDER BY id, moment)
),
-- A start that reaches a level begins a time at or above it, an end that leaves the level closes one: the sum of
-- the closing instants less that of the opening ones is the time there.
swept AS (
  SELECT id, CASE WHEN step = 1 THEN reached ELSE reached + 1 END AS level, -sum(step * at_us) AS held_us
  FROM steps
  GROUP BY ALL
),
keys AS MATERIALIZED (
  SELECT
    app,
    key,
    bool_or(has_timeout) AS has_timeout,
    max(max(last_us)) OVER (PARTITION BY app) - min(min(first_us)) OVER (PARTITION BY app) AS looked_at_us
  FROM (
    SELECT app, key, has_timeout, first_us, last_us FROM groups
    UNION ALL
    SELECT app, key, has_timeout, first_us, last_us FROM known
  )
  GROUP BY app, key
),
-- Minutes tell the time at each level; at or above it is that of all from there on.
levels AS (
  SELECT app, key, level, sum(held_us)::BIGINT AS held_us
  FROM (
    SELECT app, key, level, held_us FROM swept JOIN groups USING (id)
    UNION ALL
    SELECT app, key, level, sum(sum(held_us)) OVER (PARTITION BY app, key ORDER BY level DESC)
    FROM (SELECT app, key, unnest(level_us) AS held_us, generate_subscripts(level_us, 1) AS level FROM known)
    GROUP BY app, key, level
    UNION ALL
    SELECT app, key, 0, looked_at_us FROM keys
  )
  GROUP BY app, key, level
),
losses AS (
  SELECT DISTINCT app FROM losses_between(since, until, app_name)
)
SELECT
  levels.app,
  levels.key,
  level,
  held_us / 1e6 AS at_least_seconds,
  held_us / looked_at_us AS at_least_share,
  1 - coalesce(lead(held_us) OVER (PARTITION BY levels.app, levels.key ORDER BY level), 0) / looked_at_us AS at_most_share,
  has_timeout OR EXISTS (FROM losses WHERE losses.app = levels.app) AS is_lower_bound
FROM levels
JOIN keys ON keys.app = levels.app AND keys.key IS NOT DISTINCT FROM levels.key
UNION ALL
-- error() would not be reached from a row of an empty lake; here it is reached whenever `per` is none of the three.
SELECT error('concurrency_levels counts per ''app'', ''dyno'' or ''route''; try per := ''dyno''.'), NULL, NULL, NULL, NULL, NULL, NULL
WHERE coalesce(per NOT IN ('app', 'dyno', 'route'), true)
ORDER BY app, key, level;
