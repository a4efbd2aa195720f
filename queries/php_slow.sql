-- question: Which requests does php-fpm report as slow or kill after 30 seconds, and where in the code do they spend their time?
-- one row per: app, script and route that was slow or killed
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer counted; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
-- columns:
--   app VARCHAR: The app.
--   route VARCHAR: The route asked for; NULL for slow-log blocks whose report was not seen.
--   script VARCHAR: The script php-fpm was running.
--   slow BIGINT: Requests reported as slow, once each, when they had run for 3 s (the buildpack's request_slowlog_timeout).
--   killed BIGINT: Requests killed, after 30 s by the buildpack's request_terminate_timeout; most were reported as slow before.
--   longest_seconds DOUBLE: Longest run reported; that of a request that was not killed is seen only up to its report.
--   traces BIGINT: Stack traces (slow-log blocks) seen of these requests.
--   top_frame VARCHAR: Innermost function with file and line, where most of these requests spent their time; NULL without traces.
--   top_frame_share DOUBLE: Traces with that innermost function by all traces, from 0 to 1.
--   own_frame VARCHAR: The innermost function outside of vendor/ and wp-includes/ most often seen: the place in the app's own code to look at.
--   dynos BIGINT: Number of dynos it happened on; if all, it is the code or what it waits for.
--   first_at TIMESTAMPTZ: When it was reported first.
--   last_at TIMESTAMPTZ: When it was reported last.
-- cost: Two passes over the php files of the days asked about; one looks 2 s further on both sides.
-- example: SELECT * FROM php_slow(since := now() - INTERVAL 1 DAY)
CREATE OR REPLACE MACRO php_slow(since := NULL, until := NULL, app_name := NULL) AS TABLE
-- The reports of the window and of the 2 s around it, whose blocks may lie within.
WITH reports AS (
  SELECT
    app,
    dyno,
    timestamp,
    script,
    route,
    duration_seconds,
    contains(message, ' executing too slow (') AS is_slow,
    regexp_extract(message, '^\[pool ([^\]]+)\] child (\d+),', 2) AS process
  FROM php_between(instant(since) - INTERVAL 2 SECOND, instant(until) + INTERVAL 2 SECOND, app_name)
  WHERE component = 'php-fpm'
    AND (contains(message, ' executing too slow (') OR contains(message, ' execution timed out ('))
),
blocks AS (
  SELECT
    app,
    dyno,
    timestamp,
    script,
    trace_frames(trace) AS frames,
    regexp_extract(message, '\] pid (\d+)$', 1) AS process
  FROM php_between(since, until, app_name)
  WHERE component = 'php-fpm' AND level IS NULL
),
-- The block follows its report: the same process, within 2 s, since a process is slow only once in 3 s.
traced AS (
  SELECT
    blocks.app,
    coalesce(blocks.script, reports.script) AS script,
    reports.route,
    blocks.dyno,
    blocks.timestamp,
    frames[1] AS top_frame,
    own_frame(frames) AS own_frame
  FROM blocks LEFT JOIN reports
    ON reports.app = blocks.app
    AND reports.dyno = blocks.dyno
    AND reports.process = blocks.process
    AND is_slow
    AND abs(epoch_us(blocks.timestamp) - epoch_us(reports.timestamp)) <= 2000000
),
events AS (
  SELECT app, script, route, dyno, timestamp, is_slow, duration_seconds, false AS is_trace, NULL AS top_frame, NULL AS own_frame
  FROM reports
  WHERE (since IS NULL OR timestamp >= instant(since)) AND (until IS NULL OR timestamp < instant(until))
  UNION ALL
  SELECT app, script, route, dyno, timestamp, NULL, NULL, true, top_frame, own_frame FROM traced
),
requests AS (
  SELECT
    app,
    script,
    route,
    count(*) FILTER (WHERE is_slow) AS slow,
    count(*) FILTER (WHERE NOT is_slow) AS killed,
    max(duration_seconds) AS longest_seconds,
    count(*) FILTER (WHERE is_trace) AS traces,
    histogram(top_frame) FILTER (WHERE top_frame IS NOT NULL) AS top_frames,
    histogram(own_frame) FILTER (WHERE own_frame IS NOT NULL) AS own_frames,
    count(DISTINCT dyno) AS dynos,
    min(timestamp) AS first_at,
    max(timestamp) AS last_at
  FROM events
  GROUP BY app, script, route
)
SELECT
  app,
  route,
  script,
  slow,
  killed,
  longest_seconds,
  traces,
  most_frequent(top_frames).key AS top_frame,
  most_frequent(top_frames).value / traces AS top_frame_share,
  most_frequent(own_frames).key AS own_frame,
  dynos,
  first_at,
  last_at
FROM requests
ORDER BY slow + killed DESC, app, route, script;
