-- question: How many PHP requests can the dynos work on at once, is that enough, and how many dynos of which type are needed?
-- one row per: app that served requests and dyno type
-- parameters:
--   since: First instant looked at (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
--   limit_mb: PHP's memory_limit in MB to compute with; NULL is the one in use, or 128 where no line tells it.
--   headroom_percent: How many requests at once to plan for, in percent of the peak, 100 to 1000.
-- columns:
--   app VARCHAR: The app.
--   of_type VARCHAR: The dyno type; Eco and Basic are as standard-1x, Private and Shield dynos as the performance dyno of their letter.
--   is_now BOOLEAN: True for the type whose memory the web dynos have now; NULL when no line tells their memory.
--   memory_mb BIGINT: Memory of a dyno of the type.
--   memory_limit_mb DOUBLE: The memory_limit computed with.
--   limit_from VARCHAR: Where it comes from: 'given', 'boot' (the buildpack's line at the start of a dyno), 'error' (the limit hit most often) or 'default'.
--   workers BIGINT: PHP requests that a dyno works on at once: by the buildpack's formula from memory, cores and limit, or for the type in use as its boot line says.
--   peak BIGINT: Most PHP requests in flight at once in the app, those waiting for a worker included. Files that nginx serves itself are left out by their names (.css, .png ...); what else it serves counts as PHP.
--   peak_at TIMESTAMPTZ: When that was first.
--   dynos_then BIGINT: Dynos that took PHP requests at about that time, 5 to 10 minutes before and after.
--   busiest_dyno VARCHAR: The dyno that had most of them in flight at once.
--   busiest_peak BIGINT: How many it had.
--   busiest_at TIMESTAMPTZ: When that was first.
--   verdict VARCHAR: Would as many dynos of this type as served then do? 'enough' (the busiest dyno with headroom has workers for all), 'no headroom' (just so) or 'too few' (requests wait for a worker on the busiest dyno).
--   dynos_even BIGINT: Dynos that the peak with headroom needs if the requests were spread evenly, which they are not.
--   dynos_needed BIGINT: Dynos with which, at the peak with headroom, at most 5 % of requests meet a dyno whose workers are all busy, as Heroku spreads requests at random; no more than served then where these are enough.
--   is_lower_bound BOOLEAN: True when an H12 (its worker goes on unseen) or lost lines of the app fall into the window: then more is needed than this.
-- cost: Footers tell how many rows the router has of each day, and those of days that minutes do not fit are counted by the hour; minutes tell when most requests were in flight, and only of these minutes, and of hours that minutes do not fit, starts and ends are sorted. One pass over the plain lines for the boot lines, and over php and samples.
-- example: SELECT * FROM php_capacity(since := now() - INTERVAL 1 DAY, limit_mb := 64)
CREATE OR REPLACE MACRO php_capacity(
  since := NULL, until := NULL, app_name := NULL, limit_mb := NULL, headroom_percent := 125
) AS TABLE
WITH served AS NOT MATERIALIZED (
  SELECT app, dyno, path, start_us, end_us, code, timestamp, steps_since_1970(epoch_us(timestamp), 3600000000) AS hour, date
  FROM served_between(since, until, app_name)
  WHERE source = 'heroku'
),
hours AS MATERIALIZED (FROM hours_between(since, until, app_name)),
-- In a minute, at most as many PHP requests were in flight at once as requests of all kinds.
at_most AS MATERIALIZED (
  SELECT *, steps_since_1970(epoch_us(timestamp), 60000000) AS minute
  FROM (
    SELECT 'app' AS of_each, app, NULL AS dyno, timestamp, peak_in_flight, peak_at
    FROM minutes_of('app', first_minute(since), until, app_name)
    UNION ALL
    SELECT 'dyno', app, key, timestamp, peak_in_flight, peak_at
    FROM minutes_of('dyno', first_minute(since), until, app_name)
  )
),
-- So many PHP requests at least there were at once: at any of the moments of the app's busiest hour when requests of all
-- kinds were most, in the app or on a dyno. At the busiest of them alone files may have been among them, and far more
-- minutes would seem to matter.
probes AS MATERIALIZED (
  SELECT app, of_each, unnest(tops, recursive := true)
  FROM (
    SELECT
      app,
      of_each,
      steps_since_1970(minute, 60) AS hour,
      max({'requests': peak_in_flight, 'earlier': -minute, 'at_us': epoch_us(peak_at), 'at_dyno': dyno}, 16) AS tops
    FROM at_most
    WHERE peak_at IS NOT NULL
    GROUP BY ALL
  )
  JOIN (
    SELECT app, steps_since_1970(arg_max(minute, (peak_in_flight, -minute)), 60) AS hour
    FROM at_most
    WHERE of_each = 'app' AND peak_at IS NOT NULL
    GROUP BY app
  ) USING (app, hour)
),
at_least AS MATERIALIZED (
  SELECT app, of_each, max(requests) AS requests
  FROM (
    SELECT app, of_each, at_us, at_dyno, count(*) FILTER (WHERE NOT coalesce(static_name(path), false)) AS requests
    FROM served
    JOIN (
      SELECT unnest(list(probe), recursive := true)
      FROM (
        SELECT app, hour, date, greatest(begins_at, make_timestamptz(at_us)) AS from_at, ends_at, of_each, at_us, at_dyno
        FROM hours JOIN probes USING (app)
        WHERE steps_since_1970(at_us, 3600000000) BETWEEN first_hour AND hour
      ) AS probe
    ) USING (app, hour, date)
    WHERE timestamp >= from_at AND timestamp < ends_at
      AND start_us <= at_us AND end_us > at_us AND coalesce(at_dyno = dyno, true)
    GROUP BY ALL
  )
  GROUP BY app, of_each
),
-- In no other minute can an app have had its most PHP requests at once, nor its busiest dyno. That is exact wherever
-- minutes and requests agree; where they do not, all minutes of the hour count as busy.
busiest_minutes AS MATERIALIZED (
  SELECT app, minute
  FROM at_most LEFT JOIN at_least USING (app, of_each)
  WHERE peak_in_flight >= coalesce(at_least.requests, 0)
  UNION
  SELECT app, unnest(range(60 * hour, 60 * hour + 60)) FROM hours WHERE NOT is_known AND NOT is_bounded
),
-- Of the hours in which it was logged what was in flight in these minutes: when the first of the minutes began, and when
-- the last one ended. A list tells the planner that the hours are few; else it would hold the router's rows in memory.
read_hours AS MATERIALIZED (
  SELECT unnest(list(read_hour), recursive := true)
  FROM (
    SELECT
      app,
      hour,
      date,
      greatest(begins_at, make_timestamptz(60000000 * min(minute))) AS from_at,
      ends_at,
      60000000 * (max(minute) + 1) AS last_us
    FROM hours JOIN busiest_minutes USING (app)
    WHERE steps_since_1970(minute, 60) BETWEEN first_hour AND hour
    GROUP BY app, hour, date, begins_at, ends_at
  ) AS read_hour
),
-- All that was in flight in these minutes, and some more, which does no harm: levels are too low outside, never too high.
-- Paths are looked at afterwards, which costs more than all else.
near AS MATERIALIZED (
  SELECT app, dyno, path, start_us, end_us
  FROM served
  JOIN read_hours USING (app, hour, date)
  WHERE timestamp >= from_at AND timestamp < ends_at AND start_us < last_us
    AND (
      end_us - start_us > 60000000
      OR (app, steps_since_1970(start_us, 60000000)) IN (FROM busiest_minutes)
      OR (app, steps_since_1970(end_us - 1, 60000000)) IN (FROM busiest_minutes)
    )
),
in_flight AS MATERIALIZED (
  SELECT app, dyno, start_us, end_us FROM near WHERE NOT coalesce(static_name(path), false)
),
-- Numbers for the names, as in peak_concurrency: each request counts for its dyno and for the app.
groups AS MATERIALIZED (
  SELECT app, dyno, row_number() OVER ()::INTEGER AS dyno_id, (-dense_rank() OVER (ORDER BY app))::INTEGER AS app_id
  FROM (SELECT DISTINCT app, dyno FROM in_flight)
),
levels AS NOT MATERIALIZED (
  SELECT
    id,
    moment,
    sum(flight_change(moment))
      OVER (ORDER BY id, moment ROWS UNBOUNDED PRECEDING)::BIGINT AS level
  FROM (
    SELECT
      CASE WHEN is_of_app THEN app_id ELSE dyno_id END AS id,
      flight_moment(is_start, start_us, end_us) AS moment
    FROM in_flight
    JOIN groups USING (app, dyno)
    CROSS JOIN (VALUES (true, true), (true, false), (false, true), (false, false)) AS sides (is_of_app, is_start)
  )
),
peaks AS MATERIALIZED (
  SELECT app, dyno, highest.level AS peak, make_timestamptz(highest.moment >> 1) AS peak_at
  FROM (
    SELECT id, arg_max({'level': level, 'moment': moment}, level) AS highest
    FROM (SELECT id, level, min(moment) AS moment FROM levels GROUP BY id, level)
    GROUP BY id
  )
  JOIN (SELECT app, dyno, dyno_id AS id FROM groups UNION ALL SELECT DISTINCT app, NULL, app_id FROM groups) USING (id)
),
demand AS (
  SELECT
    app,
    max(peak) FILTER (WHERE dyno IS NULL) AS peak,
    any_value(peak_at) FILTER (WHERE dyno IS NULL) AS peak_at,
    arg_min({'dyno': dyno, 'peak': peak, 'at': peak_at}, (-peak, peak_at, dyno)) FILTER (WHERE dyno IS NOT NULL) AS busiest
  FROM peaks
  GROUP BY app
),
serving AS (
  SELECT app, count(DISTINCT dyno) FILTER (WHERE NOT coalesce(static_name(path), false)) AS dynos_then
  FROM served
  JOIN (
    SELECT unnest(list(five_minutes), recursive := true)
    FROM (
      SELECT app, hour, date, greatest(begins_at, make_timestamptz(300000000 * (about - 1))) AS from_at, ends_at, about
      FROM hours JOIN (SELECT app, steps_since_1970(epoch_us(peak_at), 300000000) AS about FROM demand) USING (app)
      WHERE first_hour <= steps_since_1970(about + 1, 12) AND steps_since_1970(about - 1, 12) <= hour
    ) AS five_minutes
  ) USING (app, hour, date)
  WHERE timestamp >= from_at AND timestamp < ends_at AND steps_since_1970(start_us, 300000000) BETWEEN about - 1 AND about + 1
  GROUP BY app
),
boots AS (
  SELECT
    app,
    arg_max(workers, timestamp) AS workers,
    arg_max(limit_mb_said, timestamp) AS limit_mb_said,
    arg_max(ram_mb, timestamp) AS ram_mb
  FROM (
    SELECT
      app,
      timestamp,
      nullif(TRY_CAST(regexp_extract(message, '^Starting php-fpm with (\d+) workers', 1) AS INTEGER), 0) AS workers,
      nullif(megabytes_of(regexp_extract(message, '^PHP memory_limit is (\S+) Bytes$', 1)), 0) AS limit_mb_said,
      megabytes_of(regexp_extract(message, '^Available RAM is (\S+) Bytes$', 1)) AS ram_mb
    FROM lines_between(since, until, app_name)
    WHERE starts_with(process, 'web.')
      AND (
        starts_with(message, 'Starting php-fpm with ')
        OR starts_with(message, 'PHP memory_limit is ')
        OR starts_with(message, 'Available RAM is ')
      )
  )
  GROUP BY app
),
hits AS (
  SELECT app, arg_min(limit_hit_mb, (-times, limit_hit_mb)) AS limit_hit_mb
  FROM (
    SELECT app, memory_limit_bytes / 1048576 AS limit_hit_mb, count(*) AS times
    FROM php_between(since, until, app_name)
    WHERE memory_limit_bytes > 0
    GROUP BY ALL
  )
  GROUP BY app
),
quotas AS (
  SELECT app, max(quota_mb) AS quota_mb
  FROM dyno_quotas(since, until, app_name)
  WHERE starts_with(dyno, 'web.')
  GROUP BY app
),
troubles AS (
  SELECT app FROM served WHERE code = 'H12' AND NOT coalesce(static_name(path), false)
  UNION
  SELECT app FROM losses_between(since, until, app_name)
),
candidates AS MATERIALIZED (
  SELECT
    demand.*,
    dynos_then,
    types.*,
    coalesce(quota_mb, ram_mb) = types.memory_mb AS is_now,
    coalesce(nullif(least(greatest(TRY_CAST(limit_mb AS DOUBLE), 0), 1000000), 0), limit_mb_said, limit_hit_mb, 128)::DOUBLE AS memory_limit_mb,
    CASE
      WHEN limit_mb IS NOT NULL THEN 'given'
      WHEN limit_mb_said IS NOT NULL THEN 'boot'
      WHEN limit_hit_mb IS NOT NULL THEN 'error'
      ELSE 'default'
    END AS limit_from,
    coalesce(
      CASE WHEN limit_mb IS NULL AND is_now THEN boots.workers::BIGINT END,
      php_workers(types.memory_mb, cores, memory_limit_mb)
    ) AS workers,
    ceil(peak * least(greatest(headroom_percent, 100), 1000) / 100)::BIGINT AS planned
  FROM demand
  JOIN serving USING (app)
  LEFT JOIN boots USING (app)
  LEFT JOIN hits USING (app)
  LEFT JOIN quotas USING (app)
  CROSS JOIN dyno_types() AS types
),
-- A request meets k dynos at random: the others in flight on its dyno are binomial, and it waits if all workers are
-- theirs. With 20 * planned / workers dynos that is rarer than 5 % even with a single worker.
chances AS (
  SELECT app, of_type, k, sum(exp(
      lgamma(planned) - lgamma(others + 1) - lgamma(planned - others)
      + others * ln(1 / k) + (planned - 1 - others) * ln(1 - 1 / k)
    )) AS finds_worker
  FROM (
    SELECT app, of_type, planned, workers, unnest(range(2, 20 * planned // workers + 3)) AS k
    FROM candidates
    WHERE planned > workers
  ) AS tried
  CROSS JOIN LATERAL unnest(range(0, workers)) AS fewer (others)
  GROUP BY app, of_type, k
),
needed AS (
  SELECT app, of_type, min(k) AS dynos_modelled FROM chances WHERE finds_worker >= 0.95 GROUP BY app, of_type
),
judged AS (
  SELECT
    *,
    CASE
      WHEN busiest.peak > workers THEN 'too few'
      WHEN busiest.peak * headroom_percent > workers * 100 THEN 'no headroom'
      ELSE 'enough'
    END AS verdict,
    coalesce(dynos_modelled, 1) AS modelled
  FROM candidates LEFT JOIN needed USING (app, of_type)
)
SELECT
  app,
  of_type,
  is_now,
  memory_mb::BIGINT AS memory_mb,
  memory_limit_mb,
  limit_from,
  workers,
  peak,
  peak_at,
  dynos_then,
  busiest.dyno AS busiest_dyno,
  busiest.peak AS busiest_peak,
  busiest.at AS busiest_at,
  verdict,
  ceil(planned / workers)::BIGINT AS dynos_even,
  CASE WHEN verdict = 'enough' THEN least(modelled, dynos_then) ELSE modelled END AS dynos_needed,
  EXISTS (FROM troubles WHERE troubles.app = judged.app) AS is_lower_bound
FROM judged
UNION ALL
SELECT
  error('php_capacity takes a limit_mb of 1 or more and a headroom_percent of 100 to 1000; try limit_mb := 128.'),
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE (limit_mb IS NOT NULL AND coalesce(TRY_CAST(limit_mb AS DOUBLE) NOT BETWEEN 1 AND 1000000, true))
  OR coalesce(headroom_percent NOT BETWEEN 100 AND 1000, true)
ORDER BY app, memory_mb;
