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
--   peak BIGINT: Most requests in flight at one instant. A request is in flight from its line's time less service and connect time up to that time, at least 1 microsecond; WebSockets and requests that reached no dyno are left out; requests of an imported load-balancer log count too. What ended more than 10 minutes after the window may be missing.
--   peak_at TIMESTAMPTZ: An instant at which so many were in flight; of several, the one whose last arrival was the first to be logged.
--   is_lower_bound BOOLEAN: True when an H12 (at a load balancer a 504) was in flight at that instant, whose worker goes on unseen, or lines of the app were lost in the window.
-- cost: Footers tell how many rows the router has of each day, and those of days that minutes do not fit are counted by the hour; the peaks of whole hours are kept in minutes, and only of hours that minutes do not fit (new rows, imports), and of the first and the last where they may have the peak, the starts and ends are sorted.
-- example: SELECT * FROM peak_concurrency(since := now() - INTERVAL 1 DAY, per := 'dyno')
CREATE OR REPLACE MACRO peak_concurrency(since := NULL, until := NULL, app_name := NULL, per := 'app') AS TABLE
WITH losses AS (
  SELECT DISTINCT app FROM losses_between(since, until, app_name)
)
SELECT
  app,
  key,
  peak,
  peak_at,
  is_timed_out OR EXISTS (FROM losses WHERE losses.app = peaks.app) AS is_lower_bound
FROM peaks_between(since, until, app_name, per, false) AS peaks
UNION ALL
-- error() would not be reached from a row of an empty lake; here it is reached whenever `per` is none of the three.
SELECT error('peak_concurrency counts per ''app'', ''dyno'' or ''route''; try per := ''dyno''.'), NULL, NULL, NULL, NULL
WHERE coalesce(per NOT IN ('app', 'dyno', 'route'), true)
ORDER BY app, peak DESC, key;
