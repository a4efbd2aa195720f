-- The figures of a load test plan, per app and workload of [since, until): what load_test_plan shows, and what
-- load_test_verdict holds a test against. DuckDB wants the first macro that a macro reads to be there already: this file's
-- name stands behind that of the macros it reads first. `known_routes` is a list of `workloads_between`.
CREATE OR REPLACE MACRO load_test_figures(known_routes, since, until, app_name, test_seconds) AS TABLE
WITH grouped AS MATERIALIZED (
  SELECT unnest(known_routes, recursive := true)
),
figures AS (
  SELECT
    app,
    workload,
    avg(worked_ms) AS mean_ms,
    quantile_disc(worked_ms, 0.95) AS p95_ms,
    count(*) FILTER (WHERE failed) / count(*) AS error_share,
    -- Counted beside the rest: grouping by the minute too would read all rows once more.
    most_frequent(histogram(minute)) AS busiest
  FROM (
    SELECT
      app,
      workload,
      CASE WHEN dyno IS NOT NULL OR code IS NULL THEN service_ms END AS worked_ms,
      -- The minute in which it began.
      steps_since_1970(began_us(timestamp, service_ms, connect_ms), 60000000) AS minute,
      has_failed(status, level) AS failed
    FROM router_between(since, until, app_name) AS lines
    JOIN grouped USING (app)
    WHERE lines.status IS DISTINCT FROM 101
      AND grouped.route IS NOT DISTINCT FROM lines.route
      AND grouped.is_read = coalesce(lines.method IN ('GET', 'HEAD'), false)
  )
  GROUP BY app, workload
),
peaks AS MATERIALIZED (
  SELECT app, peak_at, epoch_us(peak_at) AS peak_us, is_lower_bound FROM peak_concurrency(since, until, app_name)
),
-- Served requests can be logged after the window; their route may be new then, and is judged by its name alone.
at_peak AS (
  SELECT
    flying.app,
    coalesce(
      workload,
      workload_named(coalesce(method IN ('GET', 'HEAD'), false), flying.route, false)
    ) AS workload,
    count(*) AS in_flight
  FROM (
    SELECT app, method, route
    FROM served_between(since, until, app_name)
    JOIN peaks USING (app)
    -- What was in flight then was logged later; row groups are left out by that.
    WHERE timestamp >= peak_at AND start_us <= peak_us AND end_us > peak_us
  ) AS flying
  LEFT JOIN grouped
    ON grouped.app = flying.app
    AND grouped.route IS NOT DISTINCT FROM flying.route
    AND grouped.is_read = coalesce(flying.method IN ('GET', 'HEAD'), false)
  GROUP BY ALL
)
SELECT
  totals.app,
  totals.workload,
  routes,
  requests,
  busiest.value / 60 AS arrivals_per_second,
  make_timestamptz(busiest.key * 60000000) AS busiest_at,
  coalesce(in_flight, 0) AS in_flight,
  peak_at,
  is_lower_bound,
  mean_ms,
  p95_ms,
  least(greatest(2::BIGINT * p95_ms, 10::BIGINT + p95_ms), 30000)::INTEGER AS stop_p95_ms,
  error_share,
  greatest(ceil(busiest.value::BIGINT * least(greatest(test_seconds, 1), 86400)::BIGINT / 60)::BIGINT, 20 * greatest(coalesce(in_flight, 0), 1)) AS test_requests,
  greatest(coalesce(in_flight, 0), 1) AS concurrency,
  -- What so many at once can send in a second when each takes as long as today.
  1000 * greatest(coalesce(in_flight, 0), 1) / greatest(mean_ms, 1) AS reachable_per_second
FROM (
  SELECT app, workload, count(DISTINCT route) AS routes, sum(requests)::BIGINT AS requests
  FROM grouped
  GROUP BY app, workload
) AS totals
JOIN figures USING (app, workload)
LEFT JOIN peaks USING (app)
LEFT JOIN at_peak USING (app, workload);
