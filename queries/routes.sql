-- question: Which routes does the app have, and what part of requests, errors, bytes and working time is each?
-- one row per: app, method, route and kind of log
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer counted; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
-- columns:
--   app VARCHAR: The app.
--   method VARCHAR: HTTP method.
--   route VARCHAR: The path with its variable parts named; NULL when the line had no path.
--   requests BIGINT: Requests, whatever became of them, WebSockets too.
--   share DOUBLE: Their part of the app's requests in the same kind of log, from 0 to 1.
--   errors BIGINT: Of these, those answered with a status of 500 or more, or with an H code and no status (H24).
--   timed BIGINT: Of these, those that the times are of: a dyno served them, WebSockets (status 101) left out.
--   p50_ms INTEGER: Half of them took at most this many milliseconds; nearest rank, a value that happened.
--   p95_ms INTEGER: 95 % took at most this many milliseconds; nearest rank.
--   worker_seconds DOUBLE: Seconds that they kept a dyno busy, all together, waiting for a free worker included.
--   worker_share DOUBLE: Their part of the app's worker-seconds in the same kind of log, from 0 to 1; NULL when there were none.
--   bytes_sent BIGINT: Bytes sent to clients; only the older Heroku router and application load balancers count headers too.
--   paths BIGINT: Different paths that the route merges, query string off.
--   example_path VARCHAR: The first of these paths by alphabet.
--   source VARCHAR: Whose log the requests are from: 'heroku', or 'elb' or 'alb' for an imported one, whose times end when the answer begins.
-- cost: Two passes over the router files of the days asked about; counting different paths holds each of them in memory.
-- example: SELECT * FROM routes(since := now() - INTERVAL 1 DAY) ORDER BY worker_seconds DESC LIMIT 20
CREATE OR REPLACE MACRO routes(since := NULL, until := NULL, app_name := NULL) AS TABLE
WITH counted AS (
  FROM routes_between(since, until, app_name)
),
-- Different paths are counted by their 64-bit hash: looking a text up among millions costs twice that. Among n paths of a
-- route two have the same hash with a chance of n * n / 2^65: for a million that is 1 in 37 million. Then one of the two
-- is not counted, and either may stand for both as the example. Whoever wants it can make up such paths: those of one
-- hash then count as one. Nothing else hangs on it.
different AS (
  SELECT kind, count(path) AS paths, min(path) AS example_path
  FROM (
    SELECT hash(app, method, route, source) AS kind, hash(bare) AS path_hash, any_value(bare) AS path
    FROM (SELECT *, without_query(path) AS bare FROM router_between(since, until, app_name))
    GROUP BY kind, path_hash
  )
  GROUP BY kind
)
SELECT
  counted.app,
  counted.method,
  counted.route,
  requests,
  requests / sum(requests) OVER of_app AS share,
  errors,
  timed,
  percentiles_ms[1] AS p50_ms,
  percentiles_ms[2] AS p95_ms,
  worked_ms / 1000 AS worker_seconds,
  worked_ms / nullif(sum(worked_ms) OVER of_app, 0) AS worker_share,
  bytes_sent,
  paths,
  example_path,
  counted.source
FROM counted
JOIN different ON different.kind = hash(counted.app, counted.method, counted.route, counted.source)
WINDOW of_app AS (PARTITION BY counted.app, counted.source)
ORDER BY counted.app, counted.source, requests DESC, counted.route, counted.method;
