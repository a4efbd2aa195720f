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
--   level BIGINT: A number of requests in flight, counted as in peak_concurrency, those of an imported load balancer's log too; the highest is the peak. What ended more than 10 minutes after the window is missing.
--   at_least_seconds DOUBLE: Seconds, to the microsecond, in which that many or more were in flight.
--   at_least_share DOUBLE: Their part of the time looked at, from 0 to 1: from the start of the app's first request in the window to the end of its last.
--   at_most_share DOUBLE: Part of the time with that many or fewer in flight, from 0 to 1; for "99.9 % of the time at most N" take the first level with 0.999 or more.
--   is_lower_bound BOOLEAN: True when an H12 (at a load balancer a 504) was among the requests, whose worker went on unseen, or lines of the app were lost in the window: then the seconds are at least so many, and at_most_share is too high rather than too low.
-- cost: Sorts one start and one end for each request of the window, and of the 10 minutes after it.
-- example: SELECT app, key, min(level) FROM concurrency_levels(since := now() - INTERVAL 1 DAY, per := 'dyno') WHERE at_most_share >= 0.999 GROUP BY ALL
CREATE OR REPLACE MACRO concurrency_levels(since := NULL, until := NULL, app_name := NULL, per := 'app') AS TABLE
-- The CTEs that hold a row per request are read again rather than materialized, as in peak_concurrency.
WITH in_window AS NOT MATERIALIZED (
  SELECT
    app,
    flight_key(per, app, dyno, route) AS key,
    timed_out,
    start_us,
    least(end_us, coalesce(epoch_us(instant(until)), end_us)) AS end_us
  FROM served_between(since, until, app_name)
),
groups AS MATERIALIZED (
  SELECT
    app,
    key,
    row_number() OVER ()::INTEGER AS id, -- as BIGINT it takes half again as long to sort by it and a moment
    max(last_us) OVER (PARTITION BY app) - min(first_us) OVER (PARTITION BY app) AS looked_at_us,
    timeouts
  FROM (
    SELECT
      app,
      key,
      min(start_us) AS first_us,
      max(end_us) AS last_us,
      count(*) FILTER (WHERE timed_out) AS timeouts
    FROM in_window
    GROUP BY app, key
  )
),
-- Twice the microseconds, and one more for a start: in this order requests end before others start at a tie.
moments AS NOT MATERIALIZED (
  SELECT id, CASE WHEN is_start THEN 2 * start_us + 1 ELSE 2 * end_us END AS moment
  FROM in_window
  JOIN (SELECT unnest(list(groups), recursive := true) FROM groups) AS named
    ON named.app = in_window.app AND named.key IS NOT DISTINCT FROM in_window.key
  CROSS JOIN (VALUES (true), (false)) AS sides (is_start)
),
-- In the order of all keys, since the steps of each add up to nothing. DuckDB keeps the order of a sorted subquery for a
-- window without one of its own, and goes along it row by row; a window that sorts would add up each row's steps anew.
steps AS NOT MATERIALIZED (
  SELECT
    id,
    moment >> 1 AS at_us,
    CASE WHEN moment % 2 <> 0 THEN 1 ELSE -1 END AS step,
    sum(CASE WHEN moment % 2 <> 0 THEN 1 ELSE -1 END) OVER (ROWS UNBOUNDED PRECEDING)::BIGINT AS reached
  FROM (SELECT id, moment FROM moments ORDER BY id, moment)
),
-- A start that reaches a level begins a stretch at or above it, an end that leaves the level closes one: the sum of
-- the closing instants less that of the opening ones is the time there.
stretches AS (
  SELECT
    id,
    CASE WHEN step = 1 THEN reached ELSE reached + 1 END AS level,
    -sum(step * at_us) AS held_us
  FROM steps
  GROUP BY ALL
  UNION ALL
  SELECT id, 0, looked_at_us FROM groups
),
losses AS (
  SELECT DISTINCT app FROM losses_between(since, until, app_name)
)
SELECT
  app,
  key,
  level,
  held_us / 1e6 AS at_least_seconds,
  held_us / looked_at_us AS at_least_share,
  1 - coalesce(lead(held_us) OVER (PARTITION BY id ORDER BY level), 0) / looked_at_us AS at_most_share,
  timeouts > 0 OR EXISTS (FROM losses WHERE losses.app = groups.app) AS is_lower_bound
FROM stretches JOIN groups USING (id)
UNION ALL
-- error() would not be reached from a row of an empty lake; here it is reached whenever `per` is none of the three.
SELECT error('concurrency_levels counts per ''app'', ''dyno'' or ''route''; try per := ''dyno''.'), NULL, NULL, NULL, NULL, NULL, NULL
WHERE coalesce(per NOT IN ('app', 'dyno', 'route'), true)
ORDER BY app, key, level;
