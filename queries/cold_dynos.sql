-- question: Which routes are slow the first time each dyno serves them and fast after, as with a cache kept in the dyno's own files?
-- one row per: app and route seen first and again in at least one dyno life whose start was seen
-- parameters:
--   since: First instant looked at (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
--   per: What is cached: 'route' (one entry for all its paths) or 'path' (one entry for each path, such as a page cache).
-- columns:
--   app VARCHAR: The app.
--   route VARCHAR: The path with its variable parts named.
--   evidence VARCHAR: 'strong' (5 lives or more, slow at first in 80 % of them), 'likely' (3 or more, 75 %), 'warm-up' (slow at first, but the app's other routes are so too: a dyno that has just started), 'none' or 'too few' (lives under 3, or later hits under 5).
--   lives BIGINT: Dyno lives (from start to restart) in which the route was hit first and again.
--   slow_lives BIGINT: Of these, lives in which a first hit took 3 times the usual or more even without what the app's other routes lose on their first hits.
--   first_hits BIGINT: First hits compared: one for each life, or with per := 'path' for each path in it.
--   first_ms INTEGER: Service time of a first hit, the median.
--   later_hits BIGINT: Hits that began after the first had ended, in the same lives.
--   later_ms INTEGER: Their service time, the median.
--   others_lose_ms INTEGER: What a first hit loses as soon after the start, the median of the app's routes, this one among them: of an app with one route nothing else than 'warm-up' or 'none' can be told.
--   wasted_per_life_ms BIGINT: What the first hits lose in each life, beyond what other routes lose; a cache that all dynos share saves it in every life but the first. NULL without evidence.
--   wasted_per_day_ms BIGINT: The same in a day, over all lives: at most what a shared cache saves.
-- cost: Two passes over the router files of the days asked about; only GET requests answered with 2xx or 3xx count, in lives that began in the window, 48 hours of each at most, and no files that nginx serves itself (.css, .png ...).
-- example: SELECT * FROM cold_dynos(since := now() - INTERVAL 7 DAY) WHERE evidence IN ('strong', 'likely')
CREATE OR REPLACE MACRO cold_dynos(since := NULL, until := NULL, app_name := NULL, per := 'route') AS TABLE
-- Each life by the hours it touches, so that a request finds its life by a plain hash join. Of a list the planner thinks that
-- it has few rows, and of a left join that it has as many as it reads: else it would hold all requests in memory to look
-- lives, or first hits, up. Apps without a life are not read.
WITH lives AS MATERIALIZED (
  SELECT
    app,
    dyno,
    life,
    epoch_us(started_at) AS born_us,
    epoch_us(coalesce(up_at, started_at)) AS up_us,
    least(epoch_us(coalesce(ended_at, 'infinity'::TIMESTAMPTZ)), epoch_us(started_at) + 172800000000) AS dead_us
  FROM dyno_lives(since, until, app_name)
  WHERE started_at IS NOT NULL
),
life_hours AS MATERIALIZED (
  SELECT unnest(list(life_hour), recursive := true)
  FROM (
    SELECT
      *,
      unnest(range(steps_since_1970(born_us, 3600000000), steps_since_1970(dead_us, 3600000000) + 1)) AS hour
    FROM lives
  ) AS life_hour
),
hits AS NOT MATERIALIZED (
  SELECT
    requests.app,
    dyno,
    life,
    requests.route,
    CASE per WHEN 'path' THEN bare_path(path) ELSE '' END AS entry,
    logged_start_us AS start_us,
    end_us,
    service_ms,
    logged_start_us - up_us < 30000000 AS is_early,
    -- Paths are looked at last, which costs more than all else.
    CASE
      WHEN logged_start_us >= born_us AND logged_start_us < dead_us THEN NOT coalesce(static_name(path), false)
      ELSE false
    END AS is_hit
  FROM (
    SELECT *, steps_since_1970(logged_start_us, 3600000000) AS hour
    FROM served_between(since, until, app_name)
    WHERE source = 'heroku' AND method = 'GET' AND code IS NULL AND status BETWEEN 200 AND 399 AND route IS NOT NULL
      AND app IN (SELECT unnest(list(DISTINCT app)) FROM lives)
  ) AS requests
  LEFT JOIN life_hours USING (app, dyno, hour)
),
firsts AS MATERIALIZED (
  SELECT
    app,
    dyno,
    life,
    route,
    entry,
    min({'start_us': start_us, 'end_us': end_us, 'ms': service_ms, 'is_early': is_early}) AS hit,
    max(start_us) AS last_us
  FROM hits
  WHERE is_hit
  GROUP BY app, dyno, life, route, entry
),
-- What began while the first was still at work found the cache as cold, and counts as neither.
usual AS MATERIALIZED (
  SELECT
    app,
    route,
    count(*) FILTER (WHERE is_hit AND start_us >= hit.end_us) AS later_hits,
    quantile_disc(service_ms, 0.5) FILTER (WHERE is_hit AND start_us >= hit.end_us) AS later_ms
  FROM hits LEFT JOIN firsts USING (app, dyno, life, route, entry)
  GROUP BY app, route
  HAVING later_hits > 0
),
compared AS (
  SELECT app, dyno, life, route, later_hits, later_ms, hit.ms AS ms, hit.is_early AS is_early
  FROM firsts JOIN usual USING (app, route)
  QUALIFY bool_or(last_us >= hit.end_us) OVER (PARTITION BY app, dyno, life, route)
),
-- What is lost on first hits anyway: compiling scripts, connecting to the database. Half a minute after the start all
-- routes lose more, so each is compared with its like. A median of routes: one cold cache among them does not move it.
lost AS (
  SELECT app, is_early, quantile_disc(loss, 0.5) AS others_lose
  FROM (
    SELECT app, is_early, route, greatest(quantile_disc(ms - later_ms, 0.5), 0) AS loss
    FROM compared
    GROUP BY app, is_early, route
  )
  GROUP BY app, is_early
),
by_life AS (
  SELECT
    app,
    route,
    dyno,
    life,
    any_value(later_hits) AS later_hits,
    any_value(later_ms) AS later_ms,
    list(ms) AS times,
    list(others_lose) AS losses,
    count(*) AS first_hits,
    quantile_disc(ms, 0.5) >= greatest(3 * any_value(later_ms), any_value(later_ms) + 10) AS is_slow,
    quantile_disc(ms - others_lose, 0.5) >= greatest(3 * any_value(later_ms), any_value(later_ms) + 10) AS is_cold,
    sum(ms - others_lose - later_ms) AS wasted_ms
  FROM compared JOIN lost USING (app, is_early)
  GROUP BY app, route, dyno, life
),
by_route AS (
  SELECT
    app,
    route,
    count(*) AS lives,
    count(*) FILTER (WHERE is_slow) AS slower,
    count(*) FILTER (WHERE is_cold) AS slow_lives,
    sum(first_hits)::BIGINT AS first_hits,
    list_aggregate(flatten(list(times)), 'quantile_disc', 0.5) AS first_ms,
    any_value(later_hits) AS later_hits,
    any_value(later_ms) AS later_ms,
    list_aggregate(flatten(list(losses)), 'quantile_disc', 0.5) AS others_lose_ms,
    sum(wasted_ms) AS wasted_ms
  FROM by_life
  GROUP BY app, route
),
days AS (
  SELECT app, greatest((max(last_us) - min(hit.start_us)) / 86400000000, 1) AS days FROM firsts GROUP BY app
)
SELECT *
FROM (
  SELECT
    app,
    route,
    CASE
      WHEN lives < 3 OR later_hits < 5 THEN 'too few'
      WHEN lives >= 5 AND slow_lives >= 0.8 * lives THEN 'strong'
      WHEN slow_lives >= 0.75 * lives THEN 'likely'
      WHEN slower >= 0.75 * lives THEN 'warm-up'
      ELSE 'none'
    END AS evidence,
    lives,
    slow_lives,
    first_hits,
    first_ms,
    later_hits,
    later_ms,
    others_lose_ms,
    CASE WHEN evidence IN ('strong', 'likely') THEN (wasted_ms / lives)::BIGINT END AS wasted_per_life_ms,
    CASE WHEN evidence IN ('strong', 'likely') THEN (wasted_ms / days)::BIGINT END AS wasted_per_day_ms
  FROM by_route JOIN days USING (app)
  UNION ALL
  SELECT
    error('cold_dynos compares the hits per ''route'' or ''path''; try per := ''path''.'),
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
  WHERE coalesce(per NOT IN ('route', 'path'), true)
)
ORDER BY app, list_position(['strong', 'likely', 'warm-up', 'none', 'too few'], evidence), wasted_per_day_ms DESC NULLS LAST, route;
