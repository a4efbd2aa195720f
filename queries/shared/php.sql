-- Seconds between a fatal PHP error and the router's line of the 500 it caused: the request ends with the error.
CREATE OR REPLACE MACRO php_tie_seconds() AS 1;

-- What ends a request and names none.
CREATE OR REPLACE MACRO php_without_request(told_by, grade, known_route) AS
  told_by = 'php'
  AND known_route IS NULL
  AND coalesce(
    grade IN ('Fatal error', 'Parse error', 'Core error', 'Compile error', 'Recoverable fatal error'), false
  );

-- The php rows of [since, until), each with `found_route`: its own route, or where PHP names no request, the route of
-- the 500 that the router logged nearest to it on the same dyno, within a second. Only what ends a request is tied:
-- a warning has no 500. `is_tied` is true where the router told it.
CREATE OR REPLACE MACRO php_with_routes(since, until, app_name) AS TABLE
WITH failed AS (
  SELECT app, dyno, epoch_us(timestamp) AS at_us, route
  FROM router_between(
    instant(since) - php_tie_seconds() * INTERVAL 1 SECOND, instant(until) + php_tie_seconds() * INTERVAL 1 SECOND, app_name
  )
  WHERE status = 500 AND code IS NULL AND dyno IS NOT NULL AND route IS NOT NULL
),
asking AS (
  SELECT DISTINCT app, dyno, timestamp, epoch_us(timestamp) AS at_us
  FROM php_between(since, until, app_name)
  WHERE php_without_request(component, level, route)
),
-- A second of the one meets the seconds around it of the other, so that a plain hash join finds the pairs.
ties AS (
  SELECT app, dyno, timestamp, arg_min(route, (abs(failed.at_us - asking.at_us), route)) AS tied_route
  FROM (SELECT *, steps_since_1970(at_us, 1000000) + unnest([-1, 0, 1]) AS second FROM asking) AS asking
  JOIN (SELECT *, steps_since_1970(at_us, 1000000) AS second FROM failed) AS failed USING (app, dyno, second)
  WHERE abs(failed.at_us - asking.at_us) <= 1000000 * php_tie_seconds()
  GROUP BY app, dyno, timestamp
)
SELECT
  events.*,
  php_without_request(component, level, route) AND tied_route IS NOT NULL AS is_tied,
  CASE WHEN is_tied THEN tied_route ELSE route END AS found_route
FROM php_between(since, until, app_name) AS events LEFT JOIN ties USING (app, dyno, timestamp);

-- The first frame of a slow-log block, "execute() /app/Connection.php:423", where the time is spent, and the first one
-- of the app's own code. A block without frames has none.
CREATE OR REPLACE MACRO trace_frames(slow_log) AS
  regexp_extract_all(slow_log, '(?m)^\[0x[0-9a-f]+\] (.*)$', 1);

CREATE OR REPLACE MACRO own_frame(frames) AS
  list_filter(frames, lambda frame: contains(frame, ' /') AND NOT regexp_matches(frame, '/(vendor|wp-includes)/'))[1];

-- The entry of a histogram with the highest count, of several the first by name.
CREATE OR REPLACE MACRO most_frequent(counts) AS
  list_sort(list_transform(map_entries(counts), lambda entry: {'place': -entry.value::BIGINT, 'entry': entry}))[1].entry;

-- Megabytes of a size as the PHP buildpack writes it: 128M, 1G, 65536K, 134217728; NULL for "unlimited".
CREATE OR REPLACE MACRO megabytes_of(size) AS
  TRY_CAST(regexp_extract(size, '^(\d+)[KMG]?$', 1) AS BIGINT)
  / CASE right(size, 1) WHEN 'K' THEN 1024 WHEN 'M' THEN 1 WHEN 'G' THEN 1 / 1024 ELSE 1048576 END;
