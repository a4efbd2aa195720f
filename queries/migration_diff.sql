-- question: What changed with the move from an AWS load balancer to Heroku, and what is to be done about it?
-- one row per: app and finding; what got worse comes first
-- parameters:
--   since: First instant of the time on Heroku (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps. The load balancer's log must have been imported under the same name.
--   before_since: First instant of the load balancer's log that is compared; NULL is its beginning.
--   before_until: First instant of the load balancer's log no longer compared; NULL is the end of the time asked about.
--   at_least: Requests that a route needs on each side to be compared, 10 or more.
-- columns:
--   app VARCHAR: The app.
--   verdict VARCHAR: 'gzip lost', 'new error', 'more errors', 'not found any more', 'redirected now', 'refused now', 'gone: no requests any more', 'slower' (by more than the 5 ms that the two clocks may differ), 'more errors at times', 'larger', 'higher', 'lower', 'faster', 'fewer errors', 'no difference shown', or 'nothing to compare with'.
--   measure VARCHAR: What the verdict is about: 'size', 'error code', 'error share', 'status', 'requests', 'median time', 'p95 time' or 'concurrency'.
--   method VARCHAR: The HTTP method; NULL in a row about all routes.
--   route VARCHAR: The path with its variable parts named; NULL when the line had no path; 'all routes' in a row about the whole app, whose times and error share are of the routes compared, the load balancer's weighted to the mix of routes on Heroku.
--   requests_before BIGINT: Requests that the load balancer logged.
--   requests_after BIGINT: Requests that Heroku's router logged.
--   value_before DOUBLE: The measure at the load balancer, in the unit named beside.
--   value_after DOUBLE: The measure at Heroku.
--   unit VARCHAR: 'bytes', 'requests', 'ms', 'requests at once', or 'share' (0 to 1).
--   low DOUBLE: The difference of two times, later minus earlier, is at least this (99 % interval); NULL for other measures, or if there are too few requests to bound it.
--   high DOUBLE: The difference of two times is at most this; NULL as low.
--   evidence VARCHAR: What the verdict rests on, with its limits.
--   advice VARCHAR: What to do, or to look at next; NULL if nothing is amiss.
-- cost: That of peak_concurrency, and four passes over the router files of the days asked about; five over the load-balancer rows of all earlier days, or of those that before_since and before_until leave, whose starts and ends are sorted.
-- example: SELECT * FROM migration_diff(app_name := 'shop') WHERE verdict <> 'no difference shown'
CREATE OR REPLACE MACRO migration_diff(
  since := NULL, until := NULL, app_name := NULL, before_since := NULL, before_until := NULL, at_least := 100
) AS TABLE
WITH compared AS MATERIALIZED (
  FROM compared_routes_of_move(since, until, app_name, before_since, before_until, at_least)
),
-- How the requests of each route ended on either side. Only answers with status 200 have a size, and of a route these are
-- one row here.
outcomes AS MATERIALIZED (
  SELECT
    any_value(app) AS app,
    any_value(method) AS method,
    any_value(route) AS route,
    route_key,
    later,
    status,
    failed,
    CASE WHEN failed THEN code END AS code,
    count(*) AS requests,
    min(timestamp) AS first_at,
    count(*) FILTER (WHERE whole_body) AS bodies,
    quantile_disc(body_bytes, 0.5) FILTER (WHERE whole_body) AS body_bytes
  FROM (
    SELECT *, method = 'GET' AND status = 200 AND body_bytes > 0 AS whole_body
    FROM compared_requests_of_move(since, until, app_name, before_since, before_until)
  )
  GROUP BY ALL
),
answers AS MATERIALIZED (
  SELECT
    any_value(app) AS app,
    any_value(method) AS method,
    any_value(route) AS route,
    sum_where(requests, NOT later) AS requests_before,
    sum_where(requests, later) AS requests_after,
    sum_where(bodies, NOT later) AS bodies_before,
    sum_where(bodies, later) AS bodies_after,
    any_value(body_bytes) FILTER (WHERE NOT later) AS bytes_before,
    any_value(body_bytes) FILTER (WHERE later) AS bytes_after,
    sum_where(requests, NOT later AND status IN (404, 410)) AS missing_before,
    sum_where(requests, later AND status IN (404, 410)) AS missing_after,
    sum_where(requests, NOT later AND status IN (301, 302, 303, 307, 308)) AS redirected_before,
    sum_where(requests, later AND status IN (301, 302, 303, 307, 308)) AS redirected_after,
    sum_where(requests, NOT later AND status IN (401, 403)) AS refused_before,
    sum_where(requests, later AND status IN (401, 403)) AS refused_after
  FROM outcomes
  GROUP BY route_key
),
totals AS (
  SELECT app, sum(requests_before)::BIGINT AS total_before, sum(requests_after)::BIGINT AS total_after
  FROM answers
  GROUP BY app
),
sizes AS (
  SELECT
    app,
    CASE WHEN compressible_name(route) THEN 'gzip lost' ELSE 'larger' END AS verdict,
    'size' AS measure,
    method,
    route,
    requests_before,
    requests_after,
    bytes_before::DOUBLE AS value_before,
    bytes_after::DOUBLE AS value_after,
    'bytes' AS unit,
    NULL::DOUBLE AS low,
    NULL::DOUBLE AS high,
    format(
      'An answer has {:,} bytes, {:.1f} times the {:,} before the move (medians of {:,} and {:,} answers with status 200){}',
      bytes_after,
      bytes_after / bytes_before,
      bytes_before,
      bodies_after,
      bodies_before,
      CASE
        WHEN compressible_name(route) THEN ': what gzip saves on such a file.'
        ELSE ': what gzip saves on text, unless the page itself has grown.'
      END
    ) AS evidence,
    'Give nginx: gzip on; gzip_proxied any; gzip_vary on; gzip_min_length 1400; gzip_types text/css text/plain '
      || 'text/javascript application/javascript application/json application/xml image/svg+xml; without gzip_proxied it '
      || 'compresses nothing behind Heroku''s router. Then see uncompressed_assets.' AS advice,
    (bytes_after - bytes_before) * bodies_after AS weight
  FROM answers
  WHERE least(bodies_before, bodies_after) >= 3
    AND bytes_after > 1400
    AND bytes_after BETWEEN 2.5 * bytes_before AND 6.0 * bytes_before
    AND (compressible_name(route) OR NOT regexp_matches(route, '\.[A-Za-z0-9]{1,5}$'))
),
-- Heroku's codes and the load balancer's statuses by what they say: the answer took too long, or there was none. What the
-- app itself answers (500 and the like) keeps its status.
failures AS MATERIALIZED (
  SELECT
    app,
    later,
    CASE WHEN later THEN coalesce(code, status::VARCHAR) ELSE status::VARCHAR END AS problem,
    CASE
      WHEN code = 'H12' OR status = 504 THEN '504'
      WHEN code IS NOT NULL OR status IN (502, 503) THEN '502 or 503'
      ELSE status::VARCHAR
    END AS kind,
    method,
    route,
    sum(requests)::BIGINT AS requests,
    min(first_at) AS first_at
  FROM outcomes
  WHERE failed
  GROUP BY ALL
),
problems AS (
  SELECT
    app,
    problem,
    kind,
    sum(requests)::BIGINT AS requests,
    min(first_at) AS first_at,
    max({'requests': requests, 'method': method, 'route': route}) AS most
  FROM failures
  WHERE later
  GROUP BY app, problem, kind
),
new_errors AS (
  SELECT
    app,
    'new error' AS verdict,
    'error code' AS measure,
    NULL AS method,
    'all routes' AS route,
    total_before,
    total_after,
    0 AS value_before,
    requests AS value_after,
    'requests' AS unit,
    NULL AS low,
    NULL AS high,
    format(
      '{} on {:,} of {:,} requests, {:,} of them on {} {}, the first on {} UTC; the load balancer answered none of its {:,} requests with {}.',
      problem,
      requests,
      total_after,
      most.requests,
      coalesce(most.method, '(no method)'),
      coalesce(most.route, '(no path)'),
      strftime(first_at AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S'),
      total_before,
      kind
    ) AS evidence,
    CASE
      WHEN problem = 'H12' THEN 'See h12_timeouts for its routes: Heroku gives up after 30 s, the load balancer by default after 60.'
      WHEN problem LIKE 'H%' THEN 'See error_codes for what it means.'
      ELSE 'The app answers this itself: see its own log of that time.'
    END AS advice,
    requests AS weight
  FROM problems JOIN totals USING (app)
  WHERE total_before > 0
    AND NOT EXISTS (
      FROM failures
      WHERE NOT failures.later AND failures.app = problems.app AND failures.kind IS NOT DISTINCT FROM problems.kind
    )
),
error_shares AS (
  SELECT
    app,
    errors_verdict AS verdict,
    'error share' AS measure,
    method,
    route,
    requests_before,
    requests_after,
    round(failed_share_before, 6) AS value_before,
    round(failed_share_after, 6) AS value_after,
    'share' AS unit,
    NULL AS low,
    NULL AS high,
    format(
      '{:,} of {:,} requests failed (5xx or no answer), before the move {:,} of {:,}{}',
      failed_after,
      requests_after,
      failed_before,
      requests_before,
      CASE errors_verdict
        WHEN 'more errors at times' THEN '; they came in a few stretches of time, which may be a single incident.'
        ELSE '.'
      END
    ) AS evidence,
    CASE
      WHEN errors_verdict LIKE 'more%' THEN 'See error_codes and status_codes for what they are.'
    END AS advice,
    abs(failed_after - failed_before) AS weight
  FROM compared
  WHERE whole OR errors_verdict IN ('more errors', 'more errors at times', 'fewer errors')
),
statuses AS (
  SELECT
    app,
    verdict,
    'status' AS measure,
    method,
    route,
    requests_before,
    requests_after,
    round(with_before / requests_before, 6) AS value_before,
    round(with_after / requests_after, 6) AS value_after,
    'share' AS unit,
    NULL AS low,
    NULL AS high,
    format(
      '{:,} of {:,} requests got {}, before the move {:,} of {:,}.',
      with_after,
      requests_after,
      statuses,
      with_before,
      requests_before
    ) AS evidence,
    advice,
    with_after AS weight
  FROM (
    SELECT
      *,
      unnest([
        {
          'verdict': 'not found any more', 'statuses': '404 or 410',
          'with_before': missing_before, 'with_after': missing_after,
          'advice': 'See that the file is in the slug, and that rewrite rules of the old web server moved too.'
        },
        {
          'verdict': 'redirected now', 'statuses': 'a redirect',
          'with_before': redirected_before, 'with_after': redirected_after,
          'advice': 'Request it once and follow: behind the router the app must read X-Forwarded-Proto to know HTTPS.'
        },
        {
          'verdict': 'refused now', 'statuses': '401 or 403',
          'with_before': refused_before, 'with_after': refused_after,
          'advice': 'See rules by client address: behind the router the client stands last in X-Forwarded-For.'
        }
      ], recursive := true)
    FROM answers
    WHERE least(requests_before, requests_after) >= 20
  )
  WHERE with_before < 0.05 * requests_before AND with_after >= 0.5 * requests_after
),
gone AS (
  SELECT
    app,
    'gone: no requests any more' AS verdict,
    'requests' AS measure,
    method,
    route,
    requests_before,
    requests_after,
    requests_before AS value_before,
    0 AS value_after,
    'requests' AS unit,
    NULL AS low,
    NULL AS high,
    format(
      'Of {:,} requests now none, of {:,} before {:,}: at the same share there would be {:,.0f}.',
      total_after,
      total_before,
      requests_before,
      requests_before / total_before * total_after
    ) AS evidence,
    'See whether its host, links or clients still point at the old place.' AS advice,
    requests_before AS weight
  FROM answers JOIN totals USING (app)
  WHERE requests_after = 0 AND requests_before >= at_least AND requests_before / total_before * total_after >= 20
),
speeds AS (
  SELECT
    app,
    verdict,
    measure,
    method,
    route,
    requests_before,
    requests_after,
    value_before,
    value_after,
    'ms' AS unit,
    low,
    high,
    format(
      '{} took at most {} ms, before the move {} ms; the 99 % interval of the difference goes from {} to {} ms. Answers under '
        || '1 MB that did not fail.{}',
      CASE measure WHEN 'median time' THEN 'Half of the requests' ELSE '95 % of the requests' END,
      value_after,
      value_before,
      coalesce(low::VARCHAR, 'unknown'),
      coalesce(high::VARCHAR, 'unknown'),
      CASE verdict
        WHEN 'slower' THEN ' The load balancer stops its clock when the answer starts, Heroku when all of it is sent: a few '
          || 'ms, or the whole time of an answer written bit by bit, may be this.'
        ELSE ''
      END
    ) AS evidence,
    CASE verdict
      WHEN 'slower' THEN 'See latency for the route, and whether its dynos had requests waiting: peak_concurrency.'
    END AS advice,
    abs(value_after - value_before) * requests_after AS weight
  FROM (
    -- Heroku counts the few milliseconds in which a small answer is sent, the load balancer does not.
    SELECT *, speed_words(low - 4, high) AS verdict
    FROM (
      SELECT *, 'median time' AS measure, p50_before_ms AS value_before, p50_after_ms AS value_after, p50_low_ms AS low,
        p50_high_ms AS high
      FROM compared
      UNION ALL
      SELECT *, 'p95 time', p95_before_ms, p95_after_ms, p95_low_ms, p95_high_ms
      FROM compared
    )
  )
  WHERE verdict <> 'too few requests'
    AND (measure = 'median time' OR whole OR verdict IN ('slower', 'faster'))
),
-- The apps that are compared, with numbers: sorting by them takes a third of the time. A list tells the planner that they
-- are few; else it would hold the requests in memory to look for them.
numbers AS MATERIALIZED (
  SELECT unnest(list(numbered), recursive := true)
  FROM (
    SELECT app, row_number() OVER ()::INTEGER AS number FROM totals WHERE total_before > 0 AND total_after > 0
  ) AS numbered
),
moments_before AS NOT MATERIALIZED (
  SELECT number, flight_moment(is_start, start_us, end_us) AS moment
  FROM served_between(before_since, coalesce(before_until, until), app_name)
  JOIN numbers USING (app)
  CROSS JOIN (VALUES (true), (false)) AS sides (is_start)
  WHERE source IN ('elb', 'alb')
),
peaks_before AS (
  SELECT number, max(level) AS peak, make_timestamptz(arg_max(moment, level) >> 1) AS peak_at
  FROM (
    SELECT number, level, min(moment) AS moment
    FROM (
      SELECT
        number,
        moment,
        sum(flight_change(moment))
          OVER (ORDER BY number, moment ROWS UNBOUNDED PRECEDING)::BIGINT AS level
      FROM moments_before
    )
    GROUP BY number, level
  )
  GROUP BY number
),
concurrency AS (
  SELECT
    app,
    CASE
      WHEN after.peak > before.peak THEN 'higher'
      WHEN after.peak < before.peak THEN 'lower'
      ELSE 'no difference shown'
    END AS verdict,
    'concurrency' AS measure,
    NULL AS method,
    'all routes' AS route,
    total_before,
    total_after,
    before.peak AS value_before,
    after.peak AS value_after,
    'requests at once' AS unit,
    NULL AS low,
    NULL AS high,
    format(
      'On {} UTC {:,} requests ran at once, at the load balancer {:,} on {} UTC. Two single moments; Heroku counts a request '
        || 'until its whole answer is sent, the load balancer until the answer starts.',
      strftime(after.peak_at AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S'),
      after.peak,
      before.peak,
      strftime(before.peak_at AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S')
    ) AS evidence,
    CASE WHEN after.peak > before.peak THEN 'See peak_concurrency with per := ''dyno''.' END AS advice,
    0 AS weight
  FROM peaks_between(since, until, app_name, 'app', true) AS after
  JOIN numbers USING (app)
  JOIN peaks_before AS before USING (number)
  JOIN totals USING (app)
),
one_sided AS (
  SELECT
    app,
    'nothing to compare with' AS verdict,
    'requests' AS measure,
    NULL AS method,
    'all routes' AS route,
    total_before,
    total_after,
    total_before AS value_before,
    total_after AS value_after,
    'requests' AS unit,
    NULL AS low,
    NULL AS high,
    CASE WHEN total_before = 0 THEN 'No line of a load balancer' ELSE 'No line of Heroku''s router' END
      || ' is there for this app and time.' AS evidence,
    CASE
      WHEN total_before = 0 THEN 'Import the load balancer''s log under the name of this app.'
      ELSE 'Attach the drain of this app, or import the load balancer''s log under the name that the drain has.'
    END AS advice,
    0 AS weight
  FROM totals
  WHERE least(total_before, total_after) = 0
),
refused AS (
  SELECT error('Fewer than 10 requests say nothing about a route; try at_least := 100.') AS app
  WHERE coalesce(at_least < 10, true)
),
findings AS (
  FROM sizes
  UNION ALL FROM new_errors
  UNION ALL FROM error_shares
  UNION ALL FROM statuses
  UNION ALL FROM gone
  UNION ALL FROM speeds
  UNION ALL FROM concurrency
  UNION ALL FROM one_sided
)
SELECT * EXCLUDE (weight)
FROM (FROM findings SEMI JOIN totals USING (app) UNION ALL BY NAME FROM refused)
ORDER BY
  app,
  list_position(
    [
      'nothing to compare with', 'gzip lost', 'new error', 'more errors', 'not found any more', 'redirected now',
      'refused now', 'gone: no requests any more', 'slower', 'more errors at times', 'larger', 'higher', 'lower', 'faster',
      'fewer errors', 'no difference shown', 'too few requests'
    ],
    verdict
  ),
  route = 'all routes' DESC,
  weight DESC,
  measure,
  route,
  method,
  evidence;
