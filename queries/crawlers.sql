-- question: Which crawlers come, how often, and how much of the dynos' time do they take?
-- one row per: app, log and crawler that names itself in its user agent
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer counted; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
-- columns:
--   app VARCHAR: The app.
--   source VARCHAR: The log counted: 'access' (nginx or Apache), 'elb' or 'alb'; Heroku's router does not log user agents.
--   crawler VARCHAR: Its name, from the user agent, which anyone can forge; 'other bot' is all others that call themselves bot, crawler or spider or give an address (+http://…) as these do.
--   kind VARCHAR: 'search', 'AI', 'SEO', 'preview' (of shared links), 'monitor', 'archive' or 'other'.
--   requests BIGINT: Its requests.
--   share DOUBLE: Its requests by all requests in that log of the app, from 0 to 1.
--   routes BIGINT: Different routes it asked for.
--   bytes_sent BIGINT: Bytes sent to it; NULL if none of its lines tells them.
--   worker_seconds DOUBLE: Seconds its requests took, by the log itself, else by the router's line of the same request; NULL where neither tells.
--   timed_requests BIGINT: Requests whose time is known; below `requests`, worker_seconds is too low.
--   errors BIGINT: Requests answered with a status of 500 or more.
--   not_found BIGINT: Requests answered with 404 or 410.
--   first_at TIMESTAMPTZ: Its first request.
--   last_at TIMESTAMPTZ: Its last request.
--   verify_host VARCHAR: The real one's addresses have host names in this domain (and these lead back to the address); NULL where its operator documents none.
-- cost: Two passes over access and router of the days asked about; a third over router where access lines have a request id and no time.
-- example: SELECT * FROM crawlers(since := now() - INTERVAL 7 DAY) ORDER BY worker_seconds DESC
CREATE OR REPLACE MACRO crawlers(since := NULL, until := NULL, app_name := NULL) AS TABLE
WITH logged AS NOT MATERIALIZED (
  SELECT
    app,
    'access' AS source,
    user_agent,
    route,
    bytes,
    status,
    timestamp,
    request_id,
    request_ms::DOUBLE AS taken_ms
  FROM access_between(since, until, app_name)
  UNION ALL
  SELECT
    app,
    source,
    user_agent,
    route,
    bytes,
    status,
    timestamp,
    NULL,
    coalesce(TRY_CAST(regexp_extract(extra, '"duration_us": ?"(\d+)"', 1) AS BIGINT) / 1000, service_ms)
  FROM router_between(since, until, app_name)
  WHERE source <> 'heroku'
),
-- Agents are few and are read once each.
agents AS MATERIALIZED (
  SELECT user_agent, crawler_of(user_agent) AS crawler
  -- Not DISTINCT: DuckDB would look for a crawler in each row before it makes them distinct.
  FROM (SELECT max(user_agent) AS user_agent FROM logged GROUP BY logged.user_agent)
  WHERE crawler IS NOT NULL
),
known AS (
  SELECT DISTINCT crawler.name AS crawler, crawler.kind AS kind, crawler.verify_host AS verify_host FROM agents
),
totals AS (
  SELECT app, source, count(*) AS all_requests FROM logged GROUP BY app, source
),
hits AS MATERIALIZED (
  SELECT logged.*, crawler.name AS crawler FROM logged JOIN agents USING (user_agent)
),
routed AS (
  SELECT app, request_id, max(service_ms) AS service_ms
  FROM router_between(since, until, app_name)
  WHERE source = 'heroku'
    AND request_id IN (SELECT request_id FROM hits WHERE taken_ms IS NULL AND request_id IS NOT NULL)
  GROUP BY app, request_id
),
counted AS (
  SELECT
    app,
    source,
    crawler,
    count(*) AS requests,
    count(DISTINCT route) AS routes,
    to_bigint(sum(bytes)) AS bytes_sent,
    sum(coalesce(taken_ms, service_ms)) / 1000 AS worker_seconds,
    count(coalesce(taken_ms, service_ms)) AS timed_requests,
    count(*) FILTER (WHERE status >= 500) AS errors,
    count(*) FILTER (WHERE status IN (404, 410)) AS not_found,
    min(timestamp) AS first_at,
    max(timestamp) AS last_at
  FROM hits
  LEFT JOIN routed USING (app, request_id)
  GROUP BY app, source, crawler
)
SELECT
  app,
  source,
  crawler,
  known.kind,
  requests,
  requests / all_requests AS share,
  routes,
  bytes_sent,
  worker_seconds,
  timed_requests,
  errors,
  not_found,
  first_at,
  last_at,
  known.verify_host
FROM counted
JOIN totals USING (app, source)
JOIN known USING (crawler)
ORDER BY app, source, requests DESC, crawler;
