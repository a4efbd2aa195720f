-- question: Which single requests took longest?
-- one row per: request, the slowest first, as many as asked for of each app and kind of log
-- parameters:
--   since: First instant looked at (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
--   top: How many of each app and kind of log, from 1 to 10000.
-- columns:
--   app VARCHAR: The app.
--   service_ms INTEGER: Milliseconds it took, WebSockets (status 101) left out; an H12 is cut off at 30,000 and really took longer.
--   ended_at TIMESTAMPTZ: When it ended.
--   request_id VARCHAR: Heroku's id of the request, to find its other lines by; NULL in older load-balancer logs.
--   method VARCHAR: HTTP method.
--   path VARCHAR: Path with query string, secret values redacted.
--   route VARCHAR: The path with its variable parts named.
--   dyno VARCHAR: The dyno that served it.
--   status SMALLINT: HTTP status sent to the client, 499 when the client went away.
--   code VARCHAR: Heroku's H code, NULL for a request that went well.
--   source VARCHAR: Whose log it is from: 'heroku', or 'elb' or 'alb' for an imported one, whose times end when the answer begins.
-- cost: Two passes over the router files of the days asked about, the first over one column.
-- example: SELECT * FROM slowest(since := now() - INTERVAL 1 DAY, top := 10) WHERE code IS DISTINCT FROM 'H12'
CREATE OR REPLACE MACRO slowest(since := NULL, until := NULL, app_name := NULL, top := 20) AS TABLE
-- A window over all rows would hold them all in memory: first how slow a request must be, then those alone in order.
WITH timed AS NOT MATERIALIZED (
  SELECT app, service_ms, timestamp AS ended_at, request_id, method, path, route, dyno, status, code, source
  FROM router_between(since, until, app_name)
  WHERE service_ms IS NOT NULL AND (dyno IS NOT NULL OR code IS NULL) AND status IS DISTINCT FROM 101
),
bars AS MATERIALIZED (
  SELECT app, source, list_min(max(service_ms, least(greatest(top, 1), 10000)::BIGINT)) AS bar_ms FROM timed GROUP BY app, source
)
SELECT timed.*
FROM timed JOIN bars
  ON timed.app = bars.app AND timed.source IS NOT DISTINCT FROM bars.source AND service_ms >= bar_ms
QUALIFY
  row_number() OVER (PARTITION BY timed.app, timed.source ORDER BY service_ms DESC, ended_at, request_id, path) <= top
UNION ALL
-- error() would not be reached from a row of an empty lake; here it is reached whenever the parameter is wrong.
SELECT
  error('slowest shows 1 to 10000 requests; try top := 20.'),
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE coalesce(top NOT BETWEEN 1 AND 10000 OR top % 1 <> 0, true)
ORDER BY app, source, service_ms DESC, ended_at, request_id, path;
