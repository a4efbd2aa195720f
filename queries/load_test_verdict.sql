-- question: Did the load test hold, and if not, was it the app or the generator?
-- one row per: app and workload that was tested or is in the plan
-- parameters:
--   since: First instant of the test (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); it must be given as soon as there is a request.
--   until: First instant after the test; NULL is the end of the log.
--   app_name: The app that was tested; NULL is all apps.
--   plan_since: First instant of the window the plan was made from; NULL is 7 days before the test.
--   plan_until: First instant no longer in that window; NULL is the beginning of the test.
--   plan_app: The app the plan was made for, where the test went to another; NULL is the same app.
--   load_percent: Which step was run, in percent of the plan: 100, 150 or 200.
--   heavy_from_ms: As it was given to load_test_plan.
--   ab_output: What ab printed, the whole text (--ab FILE); NULL is none.
-- columns:
--   app VARCHAR: The app that was tested.
--   workload VARCHAR: The group of routes, as load_test_plan names it.
--   verdict VARCHAR: 'held', 'too slow' (p95 above stop_p95_ms), 'errors' (more than 1 %), 'generator was the limit' (it sent less than planned while the app answered in time) or 'not reached' (too little was sent to tell).
--   explanation VARCHAR: Why, in words, and what to do.
--   requests BIGINT: Requests of the test.
--   planned_per_second DOUBLE: Requests a second that were planned.
--   reached_per_second DOUBLE: Requests a second from the first one's start to the last one's end.
--   planned_in_flight BIGINT: Requests at once that were planned.
--   reached_in_flight BIGINT: Most of its requests in flight at one instant of the test.
--   today_mean_ms DOUBLE: Mean service time in milliseconds in the plan.
--   reached_mean_ms DOUBLE: Mean service time in the test.
--   today_p95_ms INTEGER: 95 % took at most this many milliseconds in the plan; nearest rank.
--   reached_p95_ms INTEGER: 95 % took at most this many milliseconds in the test; nearest rank.
--   stop_p95_ms INTEGER: What the test's p95 may be at most.
--   today_error_share DOUBLE: Share of errors in the plan, from 0 to 1.
--   reached_error_share DOUBLE: Share of errors in the test.
--   ab_per_second DOUBLE: ab's own requests a second; as all of ab's figures, only in the row of the workload of its path.
--   ab_concurrency BIGINT: ab's concurrency level (-c).
--   ab_requests BIGINT: Requests that ab saw through.
--   ab_failed BIGINT: Of these, failed to connect, broken off or wrong; answers of another length than the first are no failures here.
--   ab_non_2xx BIGINT: Answers that ab got with another status than 2xx, redirects too.
--   ab_p95_ms BIGINT: 95 % took at most this many milliseconds as ab saw it, with the way through the network.
-- cost: All that load_test_plan costs for the plan's window, and three passes over the test's.
-- example: SELECT * FROM load_test_verdict(since := now() - INTERVAL 1 HOUR)
CREATE OR REPLACE MACRO load_test_verdict(since := NULL, until := NULL, app_name := NULL, plan_since := NULL, plan_until := NULL, plan_app := NULL, load_percent := 100, heavy_from_ms := 1000, ab_output := NULL) AS TABLE
WITH known AS MATERIALIZED (
  FROM workloads_between(
    coalesce(instant(plan_since), instant(since) - INTERVAL 168 HOUR),
    coalesce(instant(plan_until), instant(since)),
    coalesce(plan_app, app_name),
    heavy_from_ms
  )
),
plan AS MATERIALIZED (
  SELECT
    app AS planned_app,
    workload,
    arrivals_per_second * least(greatest(load_percent, 1), 1000) / 100 AS planned_per_second,
    ceil(concurrency * least(greatest(load_percent, 1), 1000) / 100)::BIGINT AS planned_in_flight,
    mean_ms AS today_mean_ms,
    p95_ms AS today_p95_ms,
    stop_p95_ms,
    error_share AS today_error_share
  FROM load_test_figures(
    (SELECT list(known) FROM known),
    coalesce(instant(plan_since), instant(since) - INTERVAL 168 HOUR),
    coalesce(instant(plan_until), instant(since)),
    coalesce(plan_app, app_name),
    60
  )
),
-- A test is small beside the plan's window; a row per request is kept. A route that the plan does not know is judged by
-- its name alone: in a test that goes badly every route is slow.
tested AS MATERIALIZED (
  SELECT
    lines.app,
    coalesce(workload, workload_named(coalesce(method IN ('GET', 'HEAD'), false), lines.route, false)) AS workload,
    path,
    service_ms,
    dyno IS NOT NULL AND service_ms IS NOT NULL AS was_served,
    has_failed(status, level) AS failed,
    began_us(timestamp, service_ms, connect_ms) AS start_us,
    greatest(epoch_us(timestamp), start_us + 1) AS end_us
  FROM router_between(since, until, app_name) AS lines
  LEFT JOIN known
    ON known.app = coalesce(plan_app, lines.app)
    AND known.route IS NOT DISTINCT FROM lines.route
    AND known.is_read = coalesce(lines.method IN ('GET', 'HEAD'), false)
  WHERE lines.status IS DISTINCT FROM 101
),
-- Requests end before others start at a tie.
levels AS (
  SELECT
    app,
    workload,
    sum(step) OVER (PARTITION BY app, workload ORDER BY at_us, step)::BIGINT AS level
  FROM (
    SELECT app, workload, start_us AS at_us, 1 AS step FROM tested WHERE was_served
    UNION ALL
    SELECT app, workload, end_us, -1 FROM tested WHERE was_served
  )
),
figures AS (
  SELECT
    app,
    workload,
    count(*) AS requests,
    count(*) FILTER (WHERE failed) AS errors,
    count(*) * 1000000 / (max(end_us) - min(start_us)) AS reached_per_second,
    avg(service_ms) FILTER (WHERE was_served) AS reached_mean_ms,
    quantile_disc(service_ms, 0.95) FILTER (WHERE was_served) AS reached_p95_ms
  FROM tested
  GROUP BY app, workload
),
-- Of `Time per request:` and its like only labels that stand once are read. Failures by length alone are no failures.
ab AS MATERIALIZED (
  SELECT
    ab_number('Requests per second:\s+([0-9.]+)', ab_output)::DOUBLE AS ab_per_second,
    ab_number('Concurrency Level:\s+([0-9]+)', ab_output)::BIGINT AS ab_concurrency,
    ab_number('Complete requests:\s+([0-9]+)', ab_output)::BIGINT AS ab_requests,
    ab_number('Failed requests:\s+([0-9]+)', ab_output)::BIGINT
      - coalesce(ab_number('\(Connect: [0-9]+, Receive: [0-9]+, Length: ([0-9]+),', ab_output)::BIGINT, 0) AS ab_failed,
    coalesce(ab_number('Non-2xx responses:\s+([0-9]+)', ab_output)::BIGINT, 0) AS ab_non_2xx,
    ab_number('\n\s+95%\s+([0-9]+)', ab_output)::BIGINT AS ab_p95_ms,
    regexp_extract(ab_output, 'Document Path:\s+(\S+)', 1) AS document
  WHERE regexp_matches(ab_output, 'Requests per second:')
),
-- Which workload ab's path belongs to: the one that got most of its requests.
ab_of AS (
  SELECT app, workload
  FROM tested
  SEMI JOIN ab ON bare_path(ab.document) = bare_path(tested.path)
  GROUP BY app, workload
  ORDER BY count(*) DESC, app, workload
  LIMIT 1
),
-- A tested app stands beside the plan of its own name, or of the one that is named.
planned AS (
  SELECT coalesce(elsewhere.app, planned_app) AS app, plan.*
  FROM plan
  LEFT JOIN (SELECT DISTINCT app FROM tested WHERE plan_app IS NOT NULL) AS elsewhere ON true
),
compared AS (
  SELECT
    *,
    errors / requests AS reached_error_share,
    coalesce(errors > 0.01 * requests, false) AS log_has_errors,
    coalesce(ab_failed > 0.01 * ab_requests, false) AS ab_has_errors,
    reached_per_second >= 0.9 * planned_per_second AS rate_is_reached,
    coalesce(reached_in_flight, 0) >= 0.9 * planned_in_flight AS flight_is_reached
  FROM planned
  FULL JOIN figures USING (app, workload)
  LEFT JOIN (SELECT app, workload, max(level) AS reached_in_flight FROM levels GROUP BY app, workload)
    USING (app, workload)
  LEFT JOIN (FROM ab_of CROSS JOIN ab) USING (app, workload)
),
judged AS (
  SELECT
    *,
    CASE
      WHEN requests IS NULL THEN 'no request'
      WHEN planned_per_second IS NULL THEN 'no plan'
      WHEN log_has_errors THEN 'errors'
      WHEN ab_has_errors THEN 'ab errors'
      WHEN reached_p95_ms > stop_p95_ms THEN 'too slow'
      WHEN rate_is_reached AND flight_is_reached THEN 'held'
      WHEN rate_is_reached THEN 'rate held'
      WHEN ab_concurrency < 0.9 * planned_in_flight THEN 'ab was told less'
      WHEN ab_per_second > 2 * reached_per_second THEN 'ab saw more'
      WHEN flight_is_reached THEN 'in flight held'
      WHEN requests < 20 THEN 'few requests'
      ELSE 'generator'
    END AS reason
  FROM compared
)
SELECT
  app,
  workload,
  CASE reason
    WHEN 'rate held' THEN 'held'
    WHEN 'ab errors' THEN 'errors'
    WHEN 'held' THEN reason
    WHEN 'errors' THEN reason
    WHEN 'too slow' THEN reason
    WHEN 'generator' THEN 'generator was the limit'
    ELSE 'not reached'
  END AS verdict,
  CASE reason
    WHEN 'no request' THEN 'No request of it is in the log of this window: run its command, or look at the window and the app.'
    WHEN 'no plan' THEN 'The plan''s window has no request of it: name the right plan_since, plan_until and plan_app.'
    WHEN 'errors' THEN
      format('{} of {} requests failed; the stop rule is 1 %. error_codes of this window says how.', errors, requests)
    WHEN 'ab errors' THEN
      format('ab counts {} of {} requests as failed that the log does not show as errors: they broke off before or behind the router.', ab_failed, ab_requests)
    WHEN 'too slow' THEN
      format('95 % took up to {} ms; the stop rule is {} ms, today it is {} ms.', reached_p95_ms, stop_p95_ms, today_p95_ms)
    WHEN 'held' THEN
      format('The planned rate and {} requests at once were reached; 95 % took at most {} ms.', planned_in_flight, reached_p95_ms)
    WHEN 'rate held' THEN
      format('The planned rate was reached, 95 % took at most {} ms; {} at once did it, the plan says {}: today''s peak came in a burst, or on slower answers.', reached_p95_ms, coalesce(reached_in_flight, 0), planned_in_flight)
    WHEN 'ab was told less' THEN
      format('ab was called with -c {}, the plan says {}: run the plan''s command.', ab_concurrency, planned_in_flight)
    WHEN 'ab saw more' THEN
      format('ab counts {} requests a second, the log {}: the window is wider than the test, or something in front of the app answered.', rate_text(ab_per_second), rate_text(reached_per_second))
    WHEN 'in flight held' THEN
      format('{} at once were reached, but they make {} requests a second and the plan says {}: raise -c to {}, or send at a rate (vegeta, oha, k6).', reached_in_flight, rate_text(reached_per_second), rate_text(planned_per_second), greatest(reached_in_flight + 1, ceil(planned_per_second * reached_mean_ms / 1000)::BIGINT))
    WHEN 'few requests' THEN
      format('{} requests are too few to tell.', requests)
    ELSE
      format('The app answered in time (95 % within {} ms), yet only {} of {} requests a second and {} of {} at once came: send from a stronger machine or several, nearer to the app; ab uses one core only.', reached_p95_ms, rate_text(reached_per_second), rate_text(planned_per_second), coalesce(reached_in_flight, 0), planned_in_flight)
  END
    || CASE
      WHEN reached_per_second > 1.5 * planned_per_second AND reason IN ('errors', 'ab errors', 'too slow') THEN
        format(' It got {} requests a second, the plan says {}: send at that rate to be sure (vegeta, oha, k6).', rate_text(reached_per_second), rate_text(planned_per_second))
      ELSE ''
    END AS explanation,
  coalesce(requests, 0) AS requests,
  planned_per_second,
  coalesce(reached_per_second, 0) AS reached_per_second,
  planned_in_flight,
  coalesce(reached_in_flight, 0) AS reached_in_flight,
  today_mean_ms,
  reached_mean_ms,
  today_p95_ms,
  reached_p95_ms,
  stop_p95_ms,
  today_error_share,
  reached_error_share,
  ab_per_second,
  ab_concurrency,
  ab_requests,
  ab_failed,
  ab_non_2xx,
  ab_p95_ms
FROM judged
UNION ALL
-- error() would not be reached from a row of an empty lake; here it is reached whenever a parameter is wrong. Only a
-- question with no parameters may be asked of an empty lake: it answers as all do.
SELECT error('load_test_verdict needs the beginning of the test; try since := ''2026-11-23T10:00''.'),
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM (SELECT app FROM tested LIMIT 1)
WHERE since IS NULL
UNION ALL
SELECT error('load_test_verdict takes a step from 1 to 1000 percent; try load_percent := 150.'),
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE coalesce(load_percent NOT BETWEEN 1 AND 1000, true)
UNION ALL
SELECT error('load_test_verdict finds no figures in what ab printed; try the whole text, from `This is ApacheBench` on.'),
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE NOT coalesce(regexp_matches(ab_output, 'Requests per second:'), true)
ORDER BY app, requests DESC, workload;
