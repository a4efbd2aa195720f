-- question: How fast do failures and slow requests use up an error budget, over the last minutes, hours and days?
-- one row per: app and window of time, of 5, 30, 60, 120, 360, 1,440, 4,320 and 43,200 minutes that end together
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is 30 days before the end.
--   until: End of all windows, cut to the full minute; NULL is the end of the newest minute.
--   app_name: The app asked about; NULL is all apps.
--   route_name: Only the requests of this route; NULL is all requests of the app.
--   latency_ms: Service time in milliseconds above which a request is slow, from 1 to 29000.
-- columns:
--   app VARCHAR: The app.
--   window_minutes INTEGER: Length of the window in minutes.
--   begins_at TIMESTAMPTZ: When the window begins.
--   ends_at TIMESTAMPTZ: When it ends.
--   covered_minutes BIGINT: Minutes of the window of which the log was there, also if it lost lines; all other columns are of these.
--   requests BIGINT: Requests that ended in them.
--   failed BIGINT: Of these, status 500 and above or an H code, but for H27 and H28, which the client makes.
--   failed_share DOUBLE: Failed of requests, from 0 to 1; NULL without any.
--   timed BIGINT: Requests that a dyno served, WebSockets left out: those whose service time counts.
--   slow BIGINT: Of these, those that took longer than slow_over_ms.
--   slow_share DOUBLE: Slow of timed, from 0 to 1; NULL without any.
--   slow_over_ms INTEGER: latency_ms as it is counted: the nearest edge of the histogram, within 1 % of it.
-- cost: The minutes of apps in 30 days; no pass over requests. Without `until` all days are looked at.
-- example: SELECT * FROM burn_rates(until := now(), app_name := 'shop') ORDER BY window_minutes
CREATE OR REPLACE MACRO burn_rates(
  since := NULL, until := NULL, app_name := NULL, route_name := NULL, latency_ms := 1000
) AS TABLE
WITH counted AS MATERIALIZED (
  SELECT *, end_minute(until) - minute AS age
  -- In hours: a day of a session's time zone can have 23.
  FROM objective_minutes(
    greatest(instant(since), first_minute(until) - INTERVAL 720 HOUR), until, app_name, route_name, latency_ms
  )
  WHERE age BETWEEN 1 AND 43200
),
windows AS (
  SELECT app, window_minutes
  FROM (SELECT DISTINCT app FROM counted)
  CROSS JOIN (SELECT unnest([5, 30, 60, 120, 360, 1440, 4320, 43200]) AS window_minutes)
),
sums AS (
  SELECT
    windows.app,
    window_minutes,
    count(minute) AS covered_minutes,
    coalesce(sum(requests), 0)::BIGINT AS requests,
    coalesce(sum(failed), 0)::BIGINT AS failed,
    coalesce(sum(timed), 0)::BIGINT AS timed,
    coalesce(sum(slow), 0)::BIGINT AS slow
  FROM windows LEFT JOIN counted ON counted.app = windows.app AND age <= window_minutes
  GROUP BY ALL
)
SELECT
  app,
  window_minutes,
  make_timestamptz((end_minute(until) - window_minutes) * 60000000) AS begins_at,
  make_timestamptz(end_minute(until) * 60000000) AS ends_at,
  covered_minutes,
  requests,
  failed,
  failed / nullif(requests, 0) AS failed_share,
  timed,
  slow,
  slow / nullif(timed, 0) AS slow_share,
  counted_limit_ms(latency_ms) AS slow_over_ms
FROM sums
UNION ALL
-- In a row of the answer the refusal would not be reached on an empty lake.
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE NOT is_countable(latency_ms)
ORDER BY app, window_minutes;
