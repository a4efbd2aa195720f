-- question: Which route held the workers when requests ran into the 30-second limit (H12), and whom did it hit?
-- one row per: app and burst of H12s, that is H12s of which each came soon after the one before
-- parameters:
--   since: First instant looked at (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
--   apart_seconds: Whole seconds without an H12 after which the next one begins a new burst, from 1 to 3600.
--   free_below: With fewer requests than this in flight on its dyno a new one finds a free worker; the default is what Heroku's PHP buildpack starts on the smallest dyno.
-- columns:
--   app VARCHAR: The app.
--   first_at TIMESTAMPTZ: When the first H12 of the burst was given up; it began 30 s before.
--   last_at TIMESTAMPTZ: When the last one was given up.
--   timeouts BIGINT: H12s in the burst.
--   dynos BIGINT: Dynos that they happened on; what follows is of these dynos alone.
--   culprit VARCHAR: The route that held workers longest while the H12s waited: make it faster or move it to a background job first; NULL when its lines had no path or no H12 names its dyno.
--   culprit_seconds DOUBLE: Worker-seconds it held, at least: the work of an H12 goes on unseen.
--   culprit_share DOUBLE: Their part of all worker-seconds held on these dynos meanwhile, from 0 to 1; when it is low no single route did it, and more dynos or workers help.
--   culprit_request_id VARCHAR: The request of that route that held a worker longest, as an example to look up.
--   victim_timeouts BIGINT: H12s that spent more than half of their 30 s waiting for a worker.
--   culprits STRUCT(route VARCHAR, worker_seconds DOUBLE, requests BIGINT, timeouts BIGINT)[]: The five routes that held workers longest: worker-seconds, requests in flight meanwhile, and H12s that were the route's own doing.
--   victims STRUCT(route VARCHAR, timeouts BIGINT)[]: The five routes with most H12s that only waited, and how many.
-- cost: Three passes over the router files of the window and of the 10 minutes after it, and a fourth over the row groups with the requests named; only what overlaps a burst is sorted.
-- example: SELECT * FROM h12_autopsy(since := now() - INTERVAL 1 DAY)
CREATE OR REPLACE MACRO h12_autopsy(
  since := NULL,
  until := NULL,
  app_name := NULL,
  apart_seconds := 60,
  free_below := 4
) AS TABLE
-- The router's time of a request is work and waiting for a worker in one. How they are told apart:
-- 1. A request that began while fewer than `free_below` others were in flight on its dyno found a free worker: all of
--    its time is work. H12s and requests whose client left (H27) count as in flight for 30 s more, because the dyno
--    goes on with them.
-- 2. Any other request worked at most as long as its route takes by itself: the median of the route's requests that
--    found a free worker or ran outside of all bursts. The rest it waited.
-- 3. A route that is never seen by itself (it came only while workers were busy) is taken to have worked all the time.
-- 4. Waiting hits all routes alike. Where requests of a route that found no free worker ended in an H12 clearly more often
--    than those of the other routes with H12s (three times at least, and four standard deviations), the route was slow
--    itself, though it may be fast most days: these H12s are taken to have worked all the time.
WITH timeouts AS MATERIALIZED (
  SELECT
    app,
    dyno,
    epoch_us(timestamp) AS at_us,
    sum(begins::INTEGER) OVER (PARTITION BY app ORDER BY timestamp)::BIGINT AS burst
  FROM (
    SELECT
      app,
      dyno,
      timestamp,
      coalesce(
        epoch_us(timestamp) - epoch_us(lag(timestamp) OVER (PARTITION BY app ORDER BY timestamp))
          >= 1000000::BIGINT * apart_seconds,
        true
      ) AS begins
    FROM router_between(since, until, app_name)
    WHERE code = 'H12'
  )
),
bursts AS (
  SELECT app, burst, min(at_us) AS first_us, max(at_us) AS last_us, count(*) AS timeouts, count(DISTINCT dyno) AS dynos
  FROM timeouts
  GROUP BY ALL
),
-- Per dyno: from when its first H12 began to wait until its last one was given up.
waits AS MATERIALIZED (
  SELECT app, dyno, burst, min(at_us) - 30000000 AS from_us, max(at_us) AS to_us
  FROM timeouts
  WHERE dyno IS NOT NULL
  GROUP BY ALL
),
-- Minutes that a burst touches, or its aftermath: workers go on with requests that were given up.
busy_minutes AS MATERIALIZED (
  SELECT DISTINCT
    app,
    dyno,
    unnest(range(steps_since_1970(from_us, 60000000) - 1, steps_since_1970(to_us, 60000000) + 3)) AS minute
  FROM waits
),
-- A list of apps is one row until it is taken apart. Of the rows of `waits` DuckDB thinks that they may be more than the
-- requests, and would hold the requests in memory to look the apps up among them.
apps_hit AS MATERIALIZED (
  SELECT unnest(list(DISTINCT app)) AS app FROM waits
),
-- All that was in flight about then. What runs for more than a minute may end long after.
near AS MATERIALIZED (
  SELECT
    app,
    dyno,
    route,
    code,
    timestamp,
    logged_start_us AS began_us,
    end_us,
    CASE WHEN code IN ('H12', 'H27') THEN end_us + 30000000 ELSE end_us END AS gone_us,
    is_near
  FROM (
    SELECT *, (app, dyno, ended_minute) IN (SELECT app, dyno, minute FROM busy_minutes) AS is_near
    FROM (SELECT *, steps_since_1970(end_us, 60000000) AS ended_minute FROM served_between(since, until, app_name))
    WHERE app IN (SELECT app FROM apps_hit) AND source = 'heroku'
      -- Most minutes are busy nowhere, and a number is looked up faster than two names with it.
      AND (ended_minute IN (SELECT unnest(list(DISTINCT minute)) FROM busy_minutes) OR lasted_ms > 60000)
  )
  WHERE is_near OR lasted_ms > 60000
),
-- Requests of a dyno in order of their starts; of one instant all count as there already but the request itself.
placed AS (
  SELECT
    app,
    dyno,
    route,
    code,
    timestamp,
    began_us,
    end_us,
    is_near,
    is_start,
    sum(CASE WHEN is_start THEN 1 ELSE -1 END)
      OVER (PARTITION BY app, dyno ORDER BY moment)
      <= free_below AS is_free
  FROM (
    SELECT *, true AS is_start, 2 * began_us + 1 AS moment FROM near
    UNION ALL
    SELECT *, false, 2 * gone_us FROM near
  )
),
begun AS MATERIALIZED (
  SELECT * EXCLUDE (is_start) FROM placed WHERE is_start
),
-- How often each route took how long by itself: all requests, less those within the bursts that found no free worker.
-- By the 64-bit hash of app and route, which is half as dear as the texts. Of n routes two have the same hash with a
-- chance of n * n / 2^65, for 10,000 of them 1 in 370 billion; these two would share one median.
durations AS (
  SELECT hash(app, route) AS kind, lasted_ms, count(*) AS requests
  FROM served_between(since, until, app_name)
  WHERE app IN (SELECT app FROM apps_hit) AND source = 'heroku'
  GROUP BY kind, lasted_ms
  UNION ALL
  SELECT hash(app, route), (end_us - began_us) // 1000, -count(*) FROM begun WHERE is_near AND NOT is_free GROUP BY ALL
),
-- Of routes that no burst saw too, since looking for those that one saw costs more. As in `served_between` a request
-- lasts a microsecond at least.
alone AS MATERIALIZED (
  SELECT kind, greatest(1000 * min(lasted_ms), 1) AS alone_us  -- the median
  FROM (
    SELECT
      kind,
      lasted_ms,
      sum(requests) OVER (PARTITION BY kind ORDER BY lasted_ms) AS running,
      sum(requests) OVER (PARTITION BY kind) AS in_all
    FROM durations
  )
  WHERE in_all > 0 AND 2 * running >= in_all
  GROUP BY kind
),
meanwhile AS MATERIALIZED (
  SELECT
    waits.app,
    waits.burst,
    waits.from_us,
    waits.to_us,
    begun.dyno,
    begun.route,
    begun.code,
    begun.timestamp,
    begun.began_us,
    begun.end_us,
    begun.is_free,
    begun.code IS NOT DISTINCT FROM 'H12' AND begun.end_us BETWEEN waits.from_us + 30000000 AND waits.to_us AS is_timeout,
    alone.alone_us
  FROM waits
  JOIN begun
    ON begun.app = waits.app AND begun.dyno = waits.dyno
    AND begun.began_us < waits.to_us AND begun.end_us > waits.from_us
  LEFT JOIN alone ON alone.kind = hash(begun.app, begun.route)
),
crowded AS (
  SELECT
    app,
    burst,
    route,
    count(*) AS requests,
    count(*) FILTER (WHERE is_timeout) AS timeouts,
    coalesce(
      (sum(timeouts) OVER of_burst - timeouts) / nullif(sum(requests) OVER of_burst - requests, 0), 0
    ) AS others_share
  FROM meanwhile
  WHERE NOT is_free
  GROUP BY app, burst, route
  HAVING count(*) FILTER (WHERE is_timeout) > 0
  WINDOW of_burst AS (PARTITION BY app, burst)
),
-- A request is taken to wait first and to work then.
held AS MATERIALIZED (
  SELECT
    meanwhile.*,
    CASE
      WHEN is_free OR alone_us IS NULL THEN began_us
      WHEN is_timeout AND timeouts >= 3
        AND timeouts > requests * others_share + 4 * sqrt(requests * others_share * (1 - others_share)) THEN began_us
      ELSE greatest(began_us, end_us - alone_us)
    END AS work_us,
    greatest(least(end_us, to_us) - greatest(work_us, from_us), 0) AS held_us,
    2 * (end_us - work_us) < end_us - began_us AS waited
  FROM meanwhile
  LEFT JOIN crowded
    ON crowded.app = meanwhile.app AND crowded.burst = meanwhile.burst
    AND crowded.route IS NOT DISTINCT FROM meanwhile.route
),
by_route AS (
  SELECT
    app,
    burst,
    route,
    sum(held_us)::BIGINT AS held_us,
    count(*) AS requests,
    count(*) FILTER (WHERE is_timeout AND NOT waited) AS own_timeouts,
    count(*) FILTER (WHERE is_timeout AND waited) AS victim_timeouts,
    max({'held_us': held_us, 'before': -began_us}) AS longest
  FROM held
  GROUP BY ALL
),
judged AS MATERIALIZED (
  SELECT
    app,
    burst,
    list(
      {'route': route, 'held_us': held_us, 'requests': requests, 'timeouts': own_timeouts, 'longest': longest}
      ORDER BY held_us DESC, route
    ) AS ranked,
    sum(held_us)::BIGINT AS held_us,
    sum(victim_timeouts)::BIGINT AS victim_timeouts,
    list({'route': route, 'timeouts': victim_timeouts} ORDER BY victim_timeouts DESC, route)
      FILTER (WHERE victim_timeouts > 0) AS victims
  FROM by_route
  GROUP BY ALL
),
-- The request that held a worker longest for the culprit, the first of them; several when they began at one instant.
examples AS MATERIALIZED (
  SELECT DISTINCT held.app, held.burst, held.dyno, held.route, held.code, held.timestamp, held.began_us
  FROM judged
  JOIN held
    ON held.app = judged.app AND held.burst = judged.burst AND held.route IS NOT DISTINCT FROM ranked[1].route
    AND held.held_us = ranked[1].longest.held_us AND held.began_us = -ranked[1].longest.before
),
-- An id is more than half of what a line takes in a file, so ids are read last, and only of these instants.
of_instants AS MATERIALIZED (
  SELECT app, dyno, route, code, timestamp, logged_start_us, request_id
  FROM served_between(since, until, app_name)
  WHERE timestamp IN (SELECT unnest(list(DISTINCT timestamp)) FROM examples) AND source = 'heroku'
),
ids AS (
  SELECT examples.app, examples.burst, max(request_id) AS request_id
  FROM examples
  JOIN of_instants AS found
    ON found.timestamp = examples.timestamp AND found.app = examples.app AND found.dyno = examples.dyno
    AND found.logged_start_us = examples.began_us AND found.route IS NOT DISTINCT FROM examples.route
    AND found.code IS NOT DISTINCT FROM examples.code
  GROUP BY ALL
)
SELECT
  app,
  make_timestamptz(first_us) AS first_at,
  make_timestamptz(last_us) AS last_at,
  timeouts,
  dynos,
  ranked[1].route AS culprit,
  ranked[1].held_us / 1e6 AS culprit_seconds,
  ranked[1].held_us / nullif(held_us, 0) AS culprit_share,
  request_id AS culprit_request_id,
  coalesce(victim_timeouts, 0) AS victim_timeouts,
  coalesce(
    [
      {'route': one.route, 'worker_seconds': one.held_us / 1e6, 'requests': one.requests, 'timeouts': one.timeouts}
      FOR one IN ranked[:5]
    ],
    []
  ) AS culprits,
  coalesce(victims[:5], []) AS victims
FROM bursts LEFT JOIN judged USING (app, burst) LEFT JOIN ids USING (app, burst)
UNION ALL
-- error() would not be reached from a row of an empty lake; here it is reached whenever a parameter is wrong.
SELECT
  error('h12_autopsy takes apart_seconds from 1 to 3600 and free_below from 1 to 100000, whole numbers both; try apart_seconds := 60, free_below := 4.'),
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE coalesce(apart_seconds NOT BETWEEN 1 AND 3600 OR apart_seconds % 1 <> 0 OR free_below NOT BETWEEN 1 AND 100000 OR free_below % 1 <> 0, true)
ORDER BY app, first_at;
