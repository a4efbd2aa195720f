-- Two periods side by side: one macro each for two `periods` of the router and for a `move`. To plan with branches that
-- the other one needs would cost more than all else: each names the router, and DuckDB looks at its files each time.
--
-- One row per request of either period; `later` tells which. `failed`: answered 5xx, or ended with no answer. `ms` is
-- NULL for a request that tells nothing about speed.
--
-- Load balancers stop their clock when the answer starts to be sent, and time no request that got no answer. So of a move
-- answers of 1 MB and more (the Heroku router's buffer) and failures are not timed, on either side.
--
-- `route_key` stands for app, method and route, which are dearer to group by and to join. It has 64 bits: of n routes two
-- have the same with a chance of n * n / 2^65, for 10,000 of them 1 in 370 billion, and would be taken for one.
CREATE OR REPLACE MACRO compared_requests_of_${kind}(since, until, app_name, before_since, before_until) AS TABLE
SELECT
  app,
  period,
  period = 'later' AS later,
  method,
  route,
  hash(app, method, route) AS route_key,
  steps_since_1970(epoch_us(timestamp), 60000000) AS minute,
  coalesce(status >= 500, code IS NOT NULL) AS failed,
  CASE
    WHEN status = 101
      OR (dyno IS NULL AND code IS NOT NULL)
      OR ('${kind}' = 'move' AND (failed OR bytes >= 1000000)) THEN NULL
    ELSE service_ms
  END AS ms,
  status,
  code,
  timestamp,
  bytes,
  -- The older router and the application load balancer count the headers too, which were 240 to 660 bytes where measured.
  CASE
    WHEN source = 'alb' OR (source = 'heroku' AND coalesce(protocol, 'http') IN ('http', 'https'))
      THEN greatest(bytes - 300, 0)
    ELSE bytes
  END AS body_bytes
FROM requests_of_${kind}(since, until, app_name, before_since, before_until);

-- Both periods by app, method and route, and one row per app with `whole` true: all its routes that have `at_least` timed
-- requests in each period, the earlier period weighted to the later one's mix of routes (else a change of mix would look
-- like a change of speed).
--
-- Requests of a minute depend on each other. So the spread of "how many took at most the median" is taken between blocks
-- of minutes, 48 a period or, in a short one, fewer of 5 minutes each, and turned into an interval of the median through
-- the distribution itself (Woodruff). That is what a bootstrap over these blocks tends to with many replicates, without
-- its chance; a test compares the two.
CREATE OR REPLACE MACRO compared_routes_of_${kind}(since, until, app_name, before_since, before_until, at_least) AS TABLE
WITH requests AS NOT MATERIALIZED (
  SELECT *, hash(route_key, later) AS side_key
  FROM compared_requests_of_${kind}(since, until, app_name, before_since, before_until)
),
-- A list tells the planner that the minutes are few; else it may hold all requests in memory to look the minutes up.
minutes AS MATERIALIZED (
  SELECT unnest(list(placed), recursive := true)
  FROM (
    SELECT app, later, minute, (number - 1) * greatest(10, least(48, minutes // 5)) // minutes AS block
    FROM (
      SELECT
        *,
        row_number() OVER (PARTITION BY app, later ORDER BY minute) AS number,
        count(*) OVER (PARTITION BY app, later) AS minutes
      FROM (SELECT DISTINCT app, later, minute FROM requests)
    )
  ) AS placed
),
histogram AS MATERIALIZED (
  SELECT
    any_value(app) AS app,
    any_value(method) AS method,
    any_value(route) AS route,
    route_key,
    later,
    ms,
    any_value(period) AS period,
    count(*) AS requests,
    count(*) FILTER (WHERE failed) AS failed,
    count(bytes) AS sized,
    sum(bytes) AS bytes
  FROM requests
  GROUP BY route_key, later, ms
),
pairs AS (
  SELECT
    any_value(app) AS app,
    any_value(method) AS method,
    any_value(route) AS route,
    route_key,
    sum_where(requests, NOT later) AS requests_before,
    sum_where(requests, later) AS requests_after,
    sum_where(requests, NOT later AND ms IS NOT NULL) AS timed_before,
    sum_where(requests, later AND ms IS NOT NULL) AS timed_after,
    sum_where(failed, NOT later) AS failed_before,
    sum_where(failed, later) AS failed_after,
    sum(bytes) FILTER (WHERE NOT later) / nullif(sum(sized) FILTER (WHERE NOT later), 0) AS bytes_before,
    sum(bytes) FILTER (WHERE later) / nullif(sum(sized) FILTER (WHERE later), 0) AS bytes_after,
    least(requests_before, requests_after) >= at_least AS counted,
    least(timed_before, timed_after) >= at_least AS enough
  FROM histogram
  GROUP BY route_key
),
apps AS (
  SELECT app, dense_rank() OVER (ORDER BY app) AS number FROM (SELECT DISTINCT app FROM pairs)
),
-- The row of the whole app has the negative number of the app as its id.
series AS MATERIALIZED (
  SELECT
    pairs.*,
    row_number() OVER () AS id,
    -number AS whole_id,
    CASE WHEN counted THEN requests_after / sum(requests_after) FILTER (WHERE counted) OVER (PARTITION BY app) END
      AS weight,
    CASE WHEN enough THEN timed_after / sum(timed_after) FILTER (WHERE enough) OVER (PARTITION BY app) END
      AS timed_weight
  FROM pairs JOIN apps USING (app)
),
parts AS MATERIALIZED (
  SELECT
    id,
    whole_id,
    timed_weight,
    histogram.later,
    histogram.ms,
    histogram.requests / CASE WHEN later THEN timed_after ELSE timed_before END AS part
  FROM histogram JOIN series USING (route_key)
  WHERE ms IS NOT NULL AND enough
),
-- The part of the requests that took at most `ms`. Sums of parts end a little off: hence the 1e-9 below.
reached AS MATERIALIZED (
  SELECT id, later, ms, 1e-9 + sum(part) OVER (PARTITION BY id, later ORDER BY ms) AS reached
  FROM (
    SELECT id, later, ms, part FROM parts
    UNION ALL
    SELECT whole_id, later, ms, sum(timed_weight * part) FROM parts GROUP BY ALL
  )
),
points AS MATERIALIZED (
  SELECT
    id,
    later,
    min(ms) FILTER (WHERE reached >= 0.5) AS p50,
    min(ms) FILTER (WHERE reached >= 0.95) AS p95
  FROM reached
  GROUP BY id, later
),
-- A list as well. An app, a route and a side have one key in common, so that these are not joined with the minutes first.
looked_for AS MATERIALIZED (
  SELECT unnest(list(looked), recursive := true)
  FROM (
    SELECT
      series.id,
      sides.later,
      hash(route_key, sides.later) AS side_key,
      own.p50,
      own.p95,
      of_app.p50 AS app_p50,
      of_app.p95 AS app_p95
    FROM series
    CROSS JOIN (VALUES (false), (true)) AS sides (later)
    LEFT JOIN points AS own ON own.id = series.id AND own.later = sides.later
    LEFT JOIN points AS of_app ON of_app.id = series.whole_id AND of_app.later = sides.later
    WHERE counted
  ) AS looked
),
cells AS MATERIALIZED (
  SELECT
    id,
    looked_for.later,
    block,
    count(*) AS requests,
    count(*) FILTER (WHERE failed) AS failed,
    count(ms) AS timed,
    count(*) FILTER (WHERE ms <= p50) AS in_50,
    count(*) FILTER (WHERE ms <= p95) AS in_95,
    count(*) FILTER (WHERE ms <= app_p50) AS in_app_50,
    count(*) FILTER (WHERE ms <= app_p95) AS in_app_95
  -- Each request has its minute. After an inner join the planner would take the requests, too, for few.
  FROM requests LEFT JOIN minutes USING (app, later, minute) JOIN looked_for USING (side_key)
  GROUP BY ALL
),
sums AS (
  SELECT
    id,
    later,
    sum(requests) AS all_requests,
    sum(timed) AS all_timed,
    sum(failed) / sum(requests) AS failed_share,
    sum(in_50) / nullif(sum(timed), 0) AS share_50,
    sum(in_95) / nullif(sum(timed), 0) AS share_95,
    sum(in_app_50) / nullif(sum(timed), 0) AS share_app_50,
    sum(in_app_95) / nullif(sum(timed), 0) AS share_app_95
  FROM cells
  GROUP BY id, later
),
-- How far each block pulls a share away from what it is over the whole period. A minute that is slow is slow for many
-- routes at once, so a block's pulls add up over the app's routes before they are squared.
pulls AS (
  SELECT
    id,
    whole_id,
    weight,
    timed_weight,
    later,
    block,
    timed,
    (failed - failed_share * requests) / all_requests AS failed,
    (in_50 - share_50 * timed) / nullif(all_timed, 0) AS in_50,
    (in_95 - share_95 * timed) / nullif(all_timed, 0) AS in_95,
    (in_app_50 - share_app_50 * timed) / nullif(all_timed, 0) AS in_app_50,
    (in_app_95 - share_app_95 * timed) / nullif(all_timed, 0) AS in_app_95
  FROM cells JOIN sums USING (id, later) JOIN series USING (id)
),
spreads AS (
  SELECT
    id,
    later,
    margin_99(count(*), sum(failed ** 2)) AS failed_margin,
    margin_99(count(*) FILTER (WHERE timed > 0), sum(in_50 ** 2)) AS margin_50,
    margin_99(count(*) FILTER (WHERE timed > 0), sum(in_95 ** 2)) AS margin_95
  FROM (
    SELECT id, later, block, timed, failed, in_50, in_95 FROM pulls
    UNION ALL
    SELECT
      whole_id,
      later,
      block,
      sum(timed),
      sum(weight * failed),
      sum(timed_weight * in_app_50),
      sum(timed_weight * in_app_95)
    FROM pulls
    GROUP BY ALL
  )
  GROUP BY id, later
),
intervals AS (
  SELECT
    id,
    later,
    min(ms) FILTER (WHERE reached >= 0.5 - margin_50) AS low_50,
    CASE WHEN any_value(margin_50) < 0.5 THEN min(ms) FILTER (WHERE reached >= 0.5 + margin_50) END AS high_50,
    min(ms) FILTER (WHERE reached >= 0.95 - margin_95) AS low_95,
    CASE WHEN any_value(margin_95) < 0.05 THEN min(ms) FILTER (WHERE reached >= 0.95 + margin_95) END AS high_95
  FROM reached JOIN spreads USING (id, later)
  GROUP BY id, later
),
figures AS (
  SELECT
    id,
    app,
    method,
    route,
    false AS whole,
    counted,
    requests_before,
    requests_after,
    failed_before,
    failed_after,
    failed_before / nullif(requests_before, 0) AS failed_share_before,
    failed_after / nullif(requests_after, 0) AS failed_share_after,
    bytes_before,
    bytes_after
  FROM series
  UNION ALL
  SELECT
    whole_id,
    app,
    NULL,
    'all routes',
    true,
    true,
    sum(requests_before)::BIGINT,
    sum(requests_after)::BIGINT,
    sum(failed_before)::BIGINT,
    sum(failed_after)::BIGINT,
    sum(weight * failed_before / requests_before),
    sum(weight * failed_after / requests_after),
    sum(weight * bytes_before) / sum(weight) FILTER (WHERE bytes_before IS NOT NULL),
    sum(weight * bytes_after) / sum(weight) FILTER (WHERE bytes_after IS NOT NULL)
  FROM series
  WHERE counted
  GROUP BY ALL
)
SELECT
  figures.*,
  periods.earlier,
  before_point.p50 AS p50_before_ms,
  after_point.p50 AS p50_after_ms,
  difference_low(p50_before_ms, before.high_50, p50_after_ms, after.low_50) AS p50_low_ms,
  difference_high(p50_before_ms, before.low_50, p50_after_ms, after.high_50) AS p50_high_ms,
  before_point.p95 AS p95_before_ms,
  after_point.p95 AS p95_after_ms,
  difference_low(p95_before_ms, before.high_95, p95_after_ms, after.low_95) AS p95_low_ms,
  difference_high(p95_before_ms, before.low_95, p95_after_ms, after.high_95) AS p95_high_ms,
  CASE
    WHEN counted THEN error_words(
      failed_share_before,
      failed_share_after,
      sqrt(before_spread.failed_margin ** 2 + after_spread.failed_margin ** 2),
      failed_before,
      requests_before,
      failed_after,
      requests_after
    )
    ELSE 'too few requests'
  END AS errors_verdict
FROM figures
JOIN (
  SELECT app, any_value(period) FILTER (WHERE NOT later) AS earlier FROM histogram GROUP BY app
) AS periods USING (app)
LEFT JOIN points AS before_point ON before_point.id = figures.id AND NOT before_point.later
LEFT JOIN points AS after_point ON after_point.id = figures.id AND after_point.later
LEFT JOIN intervals AS before ON before.id = figures.id AND NOT before.later
LEFT JOIN intervals AS after ON after.id = figures.id AND after.later
LEFT JOIN spreads AS before_spread ON before_spread.id = figures.id AND NOT before_spread.later
LEFT JOIN spreads AS after_spread ON after_spread.id = figures.id AND after_spread.later;
