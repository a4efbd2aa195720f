-- What the routes were asked for in [since, until) and how they answered: all that the question `routes` tells of them but
-- for the paths, which take three quarters of its time.
CREATE OR REPLACE MACRO routes_between(since, until, app_name) AS TABLE
  SELECT
    app,
    method,
    route,
    source,
    count(*) AS requests,
    count(*) FILTER (WHERE status >= 500 OR (status IS NULL AND code IS NOT NULL)) AS errors,
    count(timed_ms) AS timed,
    quantile_disc(timed_ms, [0.50, 0.95]) AS percentiles_ms,
    to_bigint(coalesce(sum(timed_ms), 0)) AS worked_ms,
    to_bigint(coalesce(sum(bytes), 0)) AS bytes_sent
  FROM (
    SELECT *, CASE WHEN dyno IS NOT NULL AND status IS DISTINCT FROM 101 THEN service_ms END AS timed_ms
    FROM router_between(since, until, app_name)
  )
  GROUP BY app, method, route, source;
