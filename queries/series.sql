-- question: What happened as time went on, over weeks and months, without reading the lines again?
-- one row per: app, or route, dyno or error code of an app, and step of time in which it appeared
-- parameters:
--   since: First instant looked at (TIMESTAMPTZ, DATE or text, UTC unless it names a zone), a full minute; NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
--   per: What to count by: 'app', 'route', 'dyno' or 'code'.
--   step_minutes: Length of a step in whole minutes, 1 to 86400; steps are counted from midnight UTC where they divide a day.
-- columns:
--   app VARCHAR: The app.
--   key VARCHAR: The app, route, dyno or code counted by; a code is an H code, else the status from 500 on. NULL for requests without a path.
--   begins_at TIMESTAMPTZ: When the step begins.
--   covered_share DOUBLE: Share of the step's minutes in the window in which the app's log was there, from 0 to 1; figures of the others are missing in the row.
--   requests BIGINT: Requests that ended in the step at Heroku's router.
--   failed BIGINT: Of these, status 500 and above or an H code, but for H27 and H28, which the client makes.
--   p50_ms DOUBLE: Half of the requests that a dyno served took at most this many milliseconds, to 1 %; NULL if none was, WebSockets left out.
--   p95_ms DOUBLE: 95 % of them took at most this many milliseconds.
--   p99_ms DOUBLE: 99 % of them took at most this many milliseconds; NULL under 100 requests.
--   bytes BIGINT: Bytes sent.
--   peak_in_flight INTEGER: Most requests in flight at one instant of the step, counted as in peak_concurrency; NULL for 'code'.
--   memory_mb DOUBLE: Highest memory of the dyno, of any dyno for 'app', in MB of 1,048,576 bytes; NULL for others, and where not measured.
--   memory_percent DOUBLE: The same in percent of the dyno's quota; NULL where the quota is not known.
--   connections DOUBLE: Most connections to the app's Postgres at once; NULL but for 'app', and where not measured.
--   lines BIGINT: Lines of the app in all tables; NULL but for 'app'.
--   lines_lost BIGINT: Lines that Heroku reports as lost; NULL but for 'app'.
-- cost: One pass over the minutes of the days asked about, which are brought up to date first; none over the lines themselves.
-- example: SELECT begins_at, requests, p95_ms FROM series(since := now() - INTERVAL 30 DAY, step_minutes := 60) WHERE covered_share = 1
CREATE OR REPLACE MACRO series(
  since := NULL,
  until := NULL,
  app_name := NULL,
  per := 'app',
  step_minutes := 5
) AS TABLE
WITH counted AS (
  SELECT
    app,
    key,
    steps_since_1970(epoch_us(timestamp), 60 * step_us(step_minutes)) AS step,
    to_bigint(sum(requests)) AS requests,
    to_bigint(sum(failed)) AS failed,
    to_bigint(sum(bytes)) AS bytes,
    max(peak_in_flight) AS peak_in_flight,
    max(memory_mb) AS memory_mb,
    max(memory_percent) AS memory_percent,
    max(connections) AS connections,
    to_bigint(sum(lines)) AS lines,
    to_bigint(sum(lines_lost)) AS lines_lost
  FROM minutes_of(per, since, until, app_name)
  GROUP BY ALL
),
covered AS (
  SELECT
    app,
    steps_since_1970(epoch_us(timestamp), 60 * step_us(step_minutes)) AS step,
    count(*) FILTER (WHERE is_covered) AS minutes_covered
  FROM minutes_of('app', since, until, app_name)
  GROUP BY ALL
),
-- A minute is in the window when it begins in it.
bounds AS (
  SELECT
    step_us(step_minutes) // 1000000 AS width,
    ceil(epoch_us(instant(since)) / 60e6)::BIGINT AS first_minute,
    ceil(epoch_us(instant(until)) / 60e6)::BIGINT AS end_minute
),
answers AS (
  SELECT
    counted.app,
    CASE WHEN per = 'app' THEN counted.app ELSE counted.key END AS counted_key,
    make_timestamptz(counted.step * 60 * step_us(step_minutes)) AS begins_at,
    coalesce(minutes_covered, 0)
      / (
        least((counted.step + 1) * width, coalesce(end_minute, (counted.step + 1) * width))
        - greatest(counted.step * width, coalesce(first_minute, counted.step * width))
      ) AS covered_share,
    requests,
    failed,
    p50_ms,
    p95_ms,
    p99_ms,
    bytes,
    peak_in_flight,
    memory_mb,
    memory_percent,
    connections,
    lines,
    lines_lost
  FROM counted
  CROSS JOIN bounds
  LEFT JOIN covered ON covered.app = counted.app AND covered.step = counted.step
  LEFT JOIN latency_steps(per, since, until, app_name, 60 * step_us(step_minutes)) AS timed
    ON timed.app = counted.app AND timed.key IS NOT DISTINCT FROM counted.key AND timed.step = counted.step
)
SELECT app, counted_key AS key, * EXCLUDE (app, counted_key)
FROM answers
UNION ALL
SELECT
  error('series counts per ''app'', ''route'', ''dyno'' or ''code'', in steps of 1 to 86400 whole minutes; try per := ''route'', step_minutes := 60.'),
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE coalesce(
  per NOT IN ('app', 'route', 'dyno', 'code') OR step_minutes NOT BETWEEN 1 AND 86400 OR step_minutes % 1 <> 0,
  true
)
ORDER BY app, key, begins_at;
