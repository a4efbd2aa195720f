-- question: How close do the database's connections come to the plan's limit, and what ran when there were most?
-- one row per: app and database (Heroku Postgres or Key-Value Store), and one for what the app itself logged of refusals
-- parameters:
--   since: First instant looked at (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
--   plan_limit: The plan's limit of connections, for databases whose log does not tell it; NULL is unknown.
-- columns:
--   app VARCHAR: The app.
--   source VARCHAR: The database by the name of its attachment, such as DATABASE or REDIS; NULL for refusals in the app's own log.
--   kind VARCHAR: 'postgres', 'redis', or 'app' for refusals that PHP logged, of whatever database.
--   verdict VARCHAR: 'refused' (connections were turned away), 'limit reached', 'near the limit' (90 % or more), 'room left' or 'limit unknown' (give plan_limit). Over the limit: pool connections (PgBouncer), run fewer workers, or take a larger plan.
--   peak_connections BIGINT: Most connections open in a measurement; NULL if none was logged.
--   peak_at TIMESTAMPTZ: The first measurement with so many; Heroku logs one a minute, so that a short peak can be missed.
--   max_connections BIGINT: The limit, as logged at that time, else plan_limit; NULL if neither is known.
--   peak_share DOUBLE: The peak by the limit, from 0 to 1; NULL if the limit is unknown.
--   typical_connections BIGINT: Connections open in half of the measurements at most.
--   measurements BIGINT: Measurements the figures are of.
--   near_limit BIGINT: Of these, measurements at 90 % of the limit or more; NULL if the limit is unknown.
--   peak_waiting BIGINT: Most connections that waited for a lock in a measurement; NULL where that is not logged.
--   waiting_at TIMESTAMPTZ: The first measurement with so many; NULL if none ever waited.
--   refused BIGINT: Connections turned away because of the limit, by the server's log (kind 'app': by the errors PHP logged); NULL for Redis, whose server log Heroku does not give.
--   first_refused_at TIMESTAMPTZ: The first of these.
--   last_refused_at TIMESTAMPTZ: The last of these.
--   requests_in_flight BIGINT: Web requests in flight at peak_at.
--   busiest_routes VARCHAR: The three routes that were busiest in the minute before peak_at, with the seconds their requests took in it; NULL if none ran.
-- cost: Two passes over samples and one over lines, php and router of the days asked about, and of the 10 minutes after.
-- example: SELECT * FROM database_connections(since := now() - INTERVAL 1 DAY)
CREATE OR REPLACE MACRO database_connections(since := NULL, until := NULL, app_name := NULL, plan_limit := NULL) AS TABLE
-- The values of one line of metrics have one timestamp.
WITH measured AS (
  SELECT
    app,
    source,
    kind,
    timestamp,
    TRY_CAST(max(value) FILTER (WHERE metric = 'active_connections') AS BIGINT) AS active,
    TRY_CAST(max(value) FILTER (WHERE metric = 'waiting_connections') AS BIGINT) AS waiting,
    nullif(TRY_CAST(max(value) FILTER (WHERE metric = 'max_connections') AS BIGINT), 0) AS logged_limit
  FROM samples_between(since, until, app_name)
  WHERE kind IN ('postgres', 'redis') AND metric IN ('active_connections', 'waiting_connections', 'max_connections')
  GROUP BY ALL
),
limited AS (
  SELECT
    *,
    coalesce(logged_limit, max(logged_limit) OVER (PARTITION BY app, source, kind), TRY_CAST(plan_limit AS BIGINT)) AS most
  FROM measured
  WHERE active IS NOT NULL
),
summary AS MATERIALIZED (
  SELECT
    app,
    source,
    kind,
    count(*) AS measurements,
    max({'active': active, 'before': -epoch_us(timestamp), 'most': most}) AS top,
    quantile_disc(active, 0.5) AS typical_connections,
    CASE WHEN max(most) IS NOT NULL THEN count(*) FILTER (WHERE active >= 0.9 * most) END AS near_limit,
    max({'waiting': waiting, 'before': -epoch_us(timestamp)}) FILTER (WHERE waiting IS NOT NULL) AS most_waiting
  FROM limited
  GROUP BY app, source, kind
),
-- An instant often has few requests or none, so the routes are those of the minute before it.
-- When each database had most connections, and from when on what was in flight in the minute before was logged. A list
-- tells the planner that they are few; else it would hold all requests in memory to look for them.
moments AS MATERIALIZED (
  SELECT unnest(list(moment), recursive := true)
  FROM (
    SELECT app, source, kind, -top.before AS at_us, -top.before - 60000000 AS from_us, make_timestamptz(from_us) AS from_at
    FROM summary
  ) AS moment
),
overlapping AS (
  SELECT
    moments.app,
    moments.source,
    moments.kind,
    served.route,
    count(*) FILTER (WHERE served.end_us > at_us) AS in_flight,
    sum(least(served.end_us, at_us) - greatest(served.start_us, from_us)) / 1e6 AS request_seconds
  FROM served_between(since, until, app_name) AS served
  JOIN moments
    ON moments.app = served.app AND timestamp >= from_at AND served.start_us <= at_us AND served.end_us > from_us
  WHERE served.source = 'heroku'
  GROUP BY ALL
),
running AS (
  SELECT
    app,
    source,
    kind,
    sum(in_flight)::BIGINT AS requests_in_flight,
    array_to_string(
      list(
        coalesce(route, '(no path)') || ' ' || printf('%.1f', request_seconds) || ' s'
        ORDER BY request_seconds DESC, route
      )[1:3],
      ', '
    ) AS busiest_routes
  FROM overlapping
  GROUP BY app, source, kind
),
refusals AS (
  SELECT
    app,
    source,
    kind,
    count(*) AS refused,
    min(timestamp) AS first_refused_at,
    max(timestamp) AS last_refused_at
  FROM (
    SELECT app, source, 'postgres' AS kind, timestamp
    FROM postgres_log_between(since, until, app_name)
    WHERE event = 'refused'
    UNION ALL
    SELECT app, NULL, 'app', timestamp
    FROM php_between(since, until, app_name)
    WHERE component = 'php'
      AND regexp_matches(
        message,
        '(?i)too many connections|remaining connection slots|too many clients|max number of clients reached'
      )
  )
  GROUP BY app, source, kind
),
answers AS (
  SELECT
    coalesce(summary.app, refusals.app) AS app,
    coalesce(summary.source, refusals.source) AS source,
    coalesce(summary.kind, refusals.kind) AS kind,
    CASE
      WHEN refused > 0 THEN 'refused'
      WHEN top.active >= top.most THEN 'limit reached'
      WHEN near_limit > 0 THEN 'near the limit'
      WHEN top.most IS NULL THEN 'limit unknown'
      ELSE 'room left'
    END AS verdict,
    top.active AS peak_connections,
    make_timestamptz(-top.before) AS peak_at,
    top.most AS max_connections,
    top.active / top.most AS peak_share,
    typical_connections,
    coalesce(measurements, 0) AS measurements,
    near_limit,
    most_waiting.waiting AS peak_waiting,
    CASE WHEN most_waiting.waiting > 0 THEN make_timestamptz(-most_waiting.before) END AS waiting_at,
    CASE WHEN coalesce(summary.kind, '') <> 'redis' THEN coalesce(refused, 0) END AS refused,
    first_refused_at,
    last_refused_at,
    CASE WHEN summary.app IS NOT NULL THEN coalesce(requests_in_flight, 0) END AS requests_in_flight,
    busiest_routes
  FROM summary
  LEFT JOIN running USING (app, source, kind)
  FULL JOIN refusals
    ON refusals.app = summary.app
      AND refusals.source IS NOT DISTINCT FROM summary.source
      AND refusals.kind = summary.kind
  UNION ALL
  SELECT
    error('database_connections takes a plan_limit of 1 to 1,000,000 connections; try plan_limit := 20.'),
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
  WHERE plan_limit IS NOT NULL AND coalesce(TRY_CAST(plan_limit AS DOUBLE) NOT BETWEEN 1 AND 1000000, true)
)
SELECT *
FROM answers
ORDER BY app, coalesce(refused, 0) DESC, peak_share DESC NULLS LAST, kind, source;
