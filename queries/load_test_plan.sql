-- question: What must I load-test, at which rate and with how many requests at once, and with which command?
-- one row per: app and workload (a group of its routes)
-- parameters:
--   since: First instant looked at (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
--   target_url: Where the commands go: scheme and host, such as 'https://staging.example.com'; NULL is a placeholder that reaches nobody.
--   test_seconds: How long a test shall run, 1 to 86400; less than 60 says little.
--   heavy_from_ms: A route whose requests take this long or longer by the median is 'heavy'.
-- columns:
--   app VARCHAR: The app.
--   workload VARCHAR: 'static' (by the file's ending), 'heavy' (median of heavy_from_ms or more), 'api' (/api/, /graphql, /v1/, .json …), 'page' (any other GET or HEAD); to be tested by hand: 'write' (other methods) and 'login'; 'other' is scanner junk and lines without a path.
--   routes BIGINT: Number of routes in it.
--   requests BIGINT: Requests logged in the window, WebSockets (status 101) left out.
--   arrivals_per_second DOUBLE: Requests a second that began in the workload's busiest minute of the clock.
--   busiest_at TIMESTAMPTZ: Start of that minute; of equal ones the first.
--   in_flight BIGINT: Its requests in flight at the instant at which the app had most in flight; the rows of an app add up to its peak, but for what was logged after the window and is of a workload without a row.
--   peak_at TIMESTAMPTZ: That instant, as peak_concurrency gives it.
--   is_lower_bound BOOLEAN: True when more may have been in flight then: an H12's worker goes on unseen, or lines were lost.
--   mean_ms DOUBLE: Mean service time in milliseconds; NULL when no dyno served a request of it.
--   p95_ms INTEGER: 95 % of the requests took at most this many milliseconds; nearest rank.
--   stop_p95_ms INTEGER: Stop the test when its p95 is above this: twice today's, at least 10 more, at most the 30,000 at which the router gives up.
--   error_share DOUBLE: Share of requests with status 500 or more or an error of the router, from 0 to 1; stop the test above 0.01.
--   duration_seconds INTEGER: How long the test runs.
--   test_requests BIGINT: Requests to send: the busiest minute's rate for that long, at least 20 for each in flight.
--   concurrency BIGINT: Requests to keep in flight: in_flight, at least 1.
--   command VARCHAR: The line to run for 1 times today's peak, quoted for a shell, with a real address of the workload; NULL where it is to be written by hand.
--   note VARCHAR: What the line can and cannot show, or why there is none.
-- cost: That of peak_concurrency, and two passes over the router files of the window more, and one over its last hours.
-- example: SELECT app, workload, command, note FROM load_test_plan(since := now() - INTERVAL 7 DAY, target_url := 'https://staging.example.com')
CREATE OR REPLACE MACRO load_test_plan(since := NULL, until := NULL, app_name := NULL, target_url := NULL, test_seconds := 60, heavy_from_ms := 1000) AS TABLE
WITH routes AS MATERIALIZED (FROM workloads_between(since, until, app_name, heavy_from_ms)),
addresses AS (
  SELECT app, workload, arg_min(url, (-requests, url)) AS url
  FROM addresses_of((SELECT list(routes) FROM routes), since, until, app_name, target_url)
  GROUP BY app, workload
),
planned AS (
  SELECT figures.*, CASE WHEN p95_ms IS NOT NULL THEN url END AS url
  FROM load_test_figures((SELECT list(routes) FROM routes), since, until, app_name, test_seconds) AS figures
  LEFT JOIN addresses USING (app, workload)
)
SELECT
  app,
  workload,
  routes,
  requests,
  arrivals_per_second,
  busiest_at,
  in_flight,
  peak_at,
  is_lower_bound,
  mean_ms,
  p95_ms,
  stop_p95_ms,
  error_share,
  least(greatest(test_seconds, 1), 86400)::INTEGER AS duration_seconds,
  test_requests,
  concurrency,
  'ab -t ' || least(greatest(test_seconds, 1), 86400)::INTEGER || ' -n ' || test_requests || ' -c ' || concurrency || ' -s 30 -l '''
    || url || '''' AS command,
  CASE
    WHEN workload = 'write' THEN
      'Write by hand: these requests change something, and what they carry is not in the log.'
    WHEN workload = 'login' THEN
      'Write by hand: logins need accounts made for the test.'
    WHEN workload = 'other' THEN
      'Nothing to test: scanner junk, and lines without a path.'
    WHEN url IS NULL THEN
      'Write by hand: it has no path that was answered with content and holds no redacted value.'
    WHEN error_share > 0.01 THEN
      format('Mend it first: {:.3g} % of its requests fail today, and a test stops above 1 %.', 100 * error_share)
    WHEN reachable_per_second < arrivals_per_second THEN
      format(
        'Cannot reach the rate: {} at once, each for {:.0f} ms as today, make {} requests a second, the busiest minute had {}; with -c {} it can.',
        concurrency, mean_ms, rate_text(reachable_per_second), rate_text(arrivals_per_second),
        ceil(arrivals_per_second * mean_ms / 1000)::BIGINT
      )
    WHEN reachable_per_second > 1.5 * arrivals_per_second THEN
      format(
        'Tests the peak in flight, not the rate: ab does not wait between requests and would send up to {} a second, the busiest minute had {}; for that rate take vegeta, oha or k6 (--write DIR).',
        rate_text(reachable_per_second), rate_text(arrivals_per_second)
      )
    ELSE 'Reaches about the rate of the busiest minute while requests take as long as today.'
  END AS note
FROM planned
UNION ALL
-- error() would not be reached from a row of an empty lake; here it is reached whenever a parameter is wrong.
SELECT error('load_test_plan sends to a scheme and a host, nothing more; try target_url := ''https://staging.example.com''.'),
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE NOT is_target_url(target_url)
UNION ALL
SELECT error('load_test_plan runs a test for 1 to 86400 whole seconds; try test_seconds := 60.'),
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE coalesce(test_seconds NOT BETWEEN 1 AND 86400 OR test_seconds % 1 <> 0, true)
UNION ALL
SELECT error('load_test_plan takes 1 to 86400000 milliseconds as heavy_from_ms; try heavy_from_ms := 1000.'),
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE coalesce(heavy_from_ms NOT BETWEEN 1 AND 86400000, true)
ORDER BY app, in_flight DESC, arrivals_per_second DESC, workload;
