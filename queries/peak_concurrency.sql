-- question: How many requests really ran at once at the most, and when?
-- one row per: app, or dyno or route of an app, that served a request
-- parameters:
--   since: First instant looked at (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
--   per: What to count by: 'app', 'dyno' or 'route'.
-- columns:
--   app VARCHAR: The app.
--   key VARCHAR: The app, dyno or route counted by; a route is NULL when the line had no path.
--   peak BIGINT: Most requests in flight at one instant. A request is in flight from its line's time less service and connect time up to that time, at least 1 microsecond; WebSockets and requests that reached no dyno are left out; requests of an imported load-balancer log count too.
--   peak_at TIMESTAMPTZ: An instant at which so many were in flight; of several, the one whose last arrival was the first to be logged.
--   is_lower_bound BOOLEAN: True when an H12 (at a load balancer a 504) was in flight at that instant, whose worker goes on unseen, or lines of the app were lost in the window.
-- cost: Sorts one start and one end for each request of the window, and of the 10 minutes after it.
-- example: SELECT * FROM peak_concurrency(since := now() - INTERVAL 1 DAY, per := 'dyno')
CREATE OR REPLACE MACRO peak_concurrency(since := NULL, until := NULL, app_name := NULL, per := 'app') AS TABLE
-- The CTEs that hold a row per request are read again rather than materialized, which would cost more memory than the
-- sort.
WITH in_window AS NOT MATERIALIZED (
  SELECT
    app,
    flight_key(per, app, dyno, route) AS key,
    timed_out,
    start_us,
    end_us
  FROM served_between(since, until, app_name)
),
-- Numbers in the place of names: sorting by them takes a third of the time.
groups AS MATERIALIZED (
  SELECT app, key, row_number() OVER () AS id FROM (SELECT DISTINCT app, key FROM in_window)
),
-- Twice the microseconds, and one more for a start: in this order requests end before others start at a tie.
moments AS NOT MATERIALIZED (
  SELECT id, ends.moment, ends.end_us
  FROM (
    SELECT app, key, 2 * start_us + 1 AS moment, end_us FROM in_window
    UNION ALL
    SELECT app, key, 2 * end_us, end_us FROM in_window
  ) AS ends
  JOIN groups ON groups.app = ends.app AND groups.key IS NOT DISTINCT FROM ends.key
),
-- Starts and ends of a key add up to nothing, so a sum over all keys in order begins anew with each: one sort, where a
-- window for each key takes twice as long if there are hundreds.
levels AS NOT MATERIALIZED (
  SELECT
    id,
    moment,
    end_us,
    sum(CASE WHEN moment % 2 <> 0 THEN 1 ELSE -1 END)
      OVER (ORDER BY id, moment)::BIGINT AS level
  FROM moments
),
-- The largest level, of its arrivals the one that was logged first, of these the first: all in one pass.
peaks AS (
  SELECT app, key, highest.level AS peak, (-highest.before) >> 1 AS peak_us
  FROM (SELECT id, max({'level': level, 'logged': -end_us, 'before': -moment}) AS highest FROM levels GROUP BY id)
  JOIN groups USING (id)
),
timeouts AS (
  SELECT app, key, start_us, end_us FROM in_window WHERE timed_out
),
losses AS (
  SELECT DISTINCT app FROM platform_between(since, until, app_name) WHERE lines_dropped > 0
)
SELECT
  app,
  key,
  peak,
  make_timestamptz(peak_us) AS peak_at,
  EXISTS (FROM losses WHERE losses.app = peaks.app)
    OR EXISTS (
      FROM timeouts
      WHERE timeouts.app = peaks.app
        AND timeouts.key IS NOT DISTINCT FROM peaks.key
        AND timeouts.start_us <= peak_us
        AND timeouts.end_us > peak_us
    ) AS is_lower_bound
FROM peaks
UNION ALL
-- error() would not be reached from a row of an empty lake; here it is reached whenever `per` is none of the three.
SELECT error('peak_concurrency counts per ''app'', ''dyno'' or ''route''; try per := ''dyno''.'), NULL, NULL, NULL, NULL
WHERE coalesce(per NOT IN ('app', 'dyno', 'route'), true)
ORDER BY app, peak DESC, key;
