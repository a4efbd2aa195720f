-- question: What does each route cost in dyno time and in dollars, and what would that be in a month?
-- one row per: app, kind of dyno and route; for other dynos than web one row with no route
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer counted; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
--   dyno_type: The type of all dynos, such as 'Standard-2X'; NULL takes it from the log.
-- columns:
--   app VARCHAR: The app.
--   process VARCHAR: The kind of dyno: web, worker, scheduler, run or other.
--   route VARCHAR: The path with its variable parts named; NULL for other dynos than web, and for lines without a path.
--   requests BIGINT: Requests of the route that a dyno served, WebSockets left out; NULL for other dynos than web.
--   worker_seconds DOUBLE: Seconds these took on the dynos (service time); an H12 counts its 30 s and really took longer.
--   share DOUBLE: Its part of the worker-seconds of all routes, from 0 to 1; this part of the web dynos' time is charged to it, their idle time too.
--   dyno_seconds DOUBLE: Seconds of dynos charged: running dynos cost the same busy or idle.
--   priced_as VARCHAR: Type of the dynos: as given, else as last scaled to in the log, else by the memory they may use (512 MB is taken for Standard-1X); NULL if none of these is known.
--   cost_dollars DOUBLE: What these dyno-seconds cost in US dollars at the list price (SELECT * FROM dyno_prices() has them with their date); NULL if the type or its price is unknown.
--   month_dollars DOUBLE: The same for a month of 720 hours that goes on like the log of the app; NULL where that is under an hour long.
-- cost: Two passes over router and samples and two over platform of the days asked about.
-- example: SELECT * FROM costs(since := now() - INTERVAL 7 DAY, dyno_type := 'Standard-2X') LIMIT 20
CREATE OR REPLACE MACRO costs(since := NULL, until := NULL, app_name := NULL, dyno_type := NULL) AS TABLE
-- Signs of life, gathered by hour lest there be a row for each line.
WITH signs AS (
  SELECT
    app,
    dyno,
    utc_hour(timestamp) AS hour,
    min(timestamp) AS first_at,
    max(timestamp) AS last_at,
    NULL AS stopped_at
  FROM router_between(since, until, app_name)
  WHERE source = 'heroku' AND dyno IS NOT NULL
  GROUP BY ALL
  UNION ALL
  SELECT app, source, utc_hour(timestamp), min(timestamp), max(timestamp), NULL
  FROM samples_between(since, until, app_name)
  WHERE kind = 'dyno'
  GROUP BY ALL
  UNION ALL
  SELECT
    app,
    dyno,
    utc_hour(timestamp),
    min(timestamp),
    max(timestamp),
    -- A dyno whose last event is its end is gone until its next sign; one that exits to be started again is not.
    CASE
      WHEN max({'at': timestamp, 'ends': event IN ('exit', 'stop') OR to_state IN ('down', 'complete', 'crashed')}).ends
        THEN max(timestamp)
    END
  FROM platform_between(since, until, app_name)
  WHERE dyno IS NOT NULL
  GROUP BY ALL
),
hours AS (
  SELECT
    app,
    dyno,
    min(first_at) AS first_at,
    max(last_at) AS last_at,
    -- Lines about the end of a dyno's last requests can come after the one about its own end.
    coalesce(max(last_at) <= max(stopped_at) + INTERVAL 1 MINUTE, false) AS stops
  FROM signs
  GROUP BY app, dyno, hour
),
-- Between two signs a dyno ran, unless the former was its end.
spans AS (
  SELECT
    app,
    split_part(dyno, '.', 1) AS process,
    first_at,
    last_at,
    CASE
      WHEN stops THEN last_at
      ELSE coalesce(lead(first_at) OVER (PARTITION BY app, dyno ORDER BY first_at), last_at)
    END AS until_at
  FROM hours
),
ran AS MATERIALIZED (
  SELECT app, process, sum(date_diff('microsecond', first_at, until_at)) / 1e6 AS dyno_seconds
  FROM spans
  GROUP BY app, process
),
lengths AS (
  SELECT app, date_diff('microsecond', min(first_at), max(last_at)) / 1e6 AS log_seconds FROM spans GROUP BY app
),
-- 'Scaled to web@4:Standard-1X worker@1:Standard-1X by user …'
scaled AS (
  SELECT app, word[1] AS process, arg_max(word[2], timestamp) AS type
  FROM (
    SELECT app, timestamp, regexp_split_to_array(unnest(regexp_extract_all(message, '\S+@\d+:\S+')), '@\d+:') AS word
    FROM releases_between(since, until, app_name)
    WHERE event = 'scale'
  )
  GROUP BY app, process
),
quotas AS (
  SELECT app, split_part(source, '.', 1) AS process, TRY_CAST(round(arg_max(value, timestamp) / 1048576) AS INTEGER) AS quota_mb
  FROM samples_between(since, until, app_name)
  WHERE kind = 'dyno' AND metric = 'memory_quota'
  GROUP BY ALL
),
priced AS (
  SELECT
    app,
    process,
    dyno_seconds,
    log_seconds,
    coalesce(named.type, scaled.type, by_quota.type) AS type,
    CASE
      WHEN named.type IS NULL AND scaled.type IS NULL THEN by_quota.month_dollars
      ELSE listed.month_dollars
    END AS price
  FROM ran
  JOIN lengths USING (app)
  LEFT JOIN scaled USING (app, process)
  LEFT JOIN quotas USING (app, process)
  LEFT JOIN (SELECT type FROM dyno_prices() WHERE lower(type) = lower(dyno_type::VARCHAR)) AS named ON true
  LEFT JOIN dyno_prices() AS by_quota ON by_quota.quota_mb = quotas.quota_mb
  LEFT JOIN dyno_prices() AS listed ON lower(listed.type) = lower(coalesce(named.type, scaled.type))
),
busy AS (
  SELECT
    app,
    split_part(dyno, '.', 1) AS process,
    route,
    count(*) AS requests,
    sum(service_ms) / 1000 AS worker_seconds
  FROM router_between(since, until, app_name)
  WHERE source = 'heroku' AND dyno IS NOT NULL AND service_ms IS NOT NULL AND status IS DISTINCT FROM 101
  GROUP BY ALL
),
shared AS (
  SELECT
    *,
    CASE
      WHEN sum(worker_seconds) OVER every_route > 0 THEN worker_seconds / sum(worker_seconds) OVER every_route
      ELSE requests / sum(requests) OVER every_route  -- all took 0 ms
    END AS share
  FROM busy
  WINDOW every_route AS (PARTITION BY app, process)
),
charged AS (
  SELECT
    app,
    process,
    route,
    requests,
    worker_seconds,
    share,
    coalesce(share, 1) * dyno_seconds AS dyno_seconds,
    type,
    price,
    log_seconds
  FROM priced
  LEFT JOIN shared USING (app, process)
)
SELECT
  app,
  process,
  route,
  requests,
  worker_seconds,
  share,
  dyno_seconds,
  type AS priced_as,
  dyno_seconds / 3600 * price / 720 AS cost_dollars,
  CASE WHEN log_seconds >= 3600 THEN dyno_seconds / log_seconds * price END AS month_dollars
FROM charged
UNION ALL
SELECT
  error('costs knows no such dyno type; try one of FROM dyno_prices(), such as dyno_type := ''Standard-2X''.'),
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE dyno_type IS NOT NULL
  AND lower(dyno_type::VARCHAR) NOT IN (SELECT lower(type) FROM dyno_prices())
ORDER BY app, dyno_seconds DESC, process, route;
