-- question: How long do requests take, by route?
-- one row per: app, route and kind of log
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer counted; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
-- columns:
--   app VARCHAR: The app.
--   route VARCHAR: The path with its variable parts named; NULL when the line had no path.
--   requests BIGINT: Requests the figures are of: those a dyno served, WebSockets (status 101) left out.
--   p50_ms INTEGER: Half of them took at most this many milliseconds; nearest rank, a value that happened.
--   p95_ms INTEGER: 95 % took at most this many milliseconds; nearest rank.
--   p99_ms INTEGER: 99 % took at most this many milliseconds; nearest rank; NULL under 100 requests.
--   max_ms INTEGER: The slowest took this many milliseconds; an H12 is cut off at 30,000 and really took longer.
--   source VARCHAR: Whose log the requests are from: 'heroku', or 'elb' or 'alb' for an imported one, whose times end when the answer begins.
-- cost: One pass over the router files of the days asked about.
-- example: SELECT * FROM latency(since := now() - INTERVAL 1 DAY) ORDER BY p95_ms DESC LIMIT 10
CREATE OR REPLACE MACRO latency(since := NULL, until := NULL, app_name := NULL) AS TABLE
SELECT
  app,
  route,
  requests,
  percentiles[1] AS p50_ms,
  percentiles[2] AS p95_ms,
  CASE WHEN requests >= 100 THEN percentiles[3] END AS p99_ms,
  max_ms,
  source
FROM (
  SELECT
    app,
    route,
    count(*) AS requests,
    -- At once: each percentile for itself would hold all times again.
    quantile_disc(service_ms, [0.50, 0.95, 0.99]) AS percentiles,
    max(service_ms) AS max_ms,
    source
  FROM router_between(since, until, app_name)
  WHERE service_ms IS NOT NULL AND (dyno IS NOT NULL OR code IS NULL) AND status IS DISTINCT FROM 101
  GROUP BY app, route, source
)
ORDER BY requests DESC, app, route, source;
