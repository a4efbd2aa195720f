-- question: Did a release make things worse or better: errors, timeouts, latency, memory, before and after it?
-- one row per: app, change (deploy, rollback, config vars, add-on, scaling) and measure, latest change first
-- parameters:
--   since: First instant looked at (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
--   minutes: Longest window to compare on each side of a change, 1 to 1440.
-- columns:
--   app VARCHAR: The app.
--   changed_at TIMESTAMPTZ: When the change was made; the window before ends and the one after begins here, restarts included.
--   change VARCHAR: 'deploy', 'rollback', 'config', 'addon', 'scale' or 'release'.
--   version INTEGER: The release it made; NULL if it made none.
--   measure VARCHAR: 'error_share' (H codes and statuses from 500 on; not what clients broke off), 'h12_share', 'p50_ms' and 'p95_ms' (service time) or 'memory_mb' (the median of the web dynos).
--   verdict VARCHAR: 'worse' or 'better' if the interval of the difference leaves out 0, else 'no difference shown'; 'too few values' if there is no interval. Memory drifts, so it is worse only if it rose by over 5 %, and never better, since any restart frees it.
--   before DOUBLE: The measure before the change; NULL without values.
--   after DOUBLE: The measure after it.
--   difference_low DOUBLE: Lower end of the interval (95 %) of after less before; NULL if there are too few values.
--   difference_high DOUBLE: Upper end of this interval.
--   values_before BIGINT: Requests, or measurements of memory, that `before` is of.
--   values_after BIGINT: The same for `after`.
--   window_minutes DOUBLE: Length of the two windows, which are equal: cut by the next change on either side and by the ends of the log. The mix of requests can differ between them, for which the interval does not allow.
-- cost: Two passes over router and one over samples and releases of the days asked about.
-- example: SELECT * FROM deploy_impact(since := now() - INTERVAL 1 DAY) WHERE verdict = 'worse'
CREATE OR REPLACE MACRO deploy_impact(since := NULL, until := NULL, app_name := NULL, minutes := 60) AS TABLE
WITH changes AS (
  SELECT
    app,
    changed_at,
    change,
    version,
    lag(changed_at) OVER earlier AS previous_at,
    lead(changed_at) OVER earlier AS next_at
  FROM app_changes(since, until, app_name)
  WHERE change NOT IN ('build', 'other')
  WINDOW earlier AS (PARTITION BY app ORDER BY changed_at)
),
logs AS (
  SELECT app, min(timestamp) AS first_at, max(timestamp) AS last_at
  FROM router_between(since, until, app_name)
  WHERE source = 'heroku'
  GROUP BY app
),
compared AS MATERIALIZED (
  SELECT
    app,
    changed_at,
    change,
    version,
    -- To the microsecond, and the last line is in the window.
    greatest(
      least(
        (60000000::BIGINT * least(greatest(minutes, 1), 1440))::BIGINT,
        date_diff('microsecond', greatest(previous_at, first_at), changed_at),
        date_diff('microsecond', changed_at, coalesce(next_at, last_at + INTERVAL 1 MICROSECOND))
      ),
      0
    ) AS window_us
  FROM changes
  JOIN logs USING (app)
),
-- The windows by the minutes they touch: joining on these needs no sorting of the requests.
touched AS MATERIALIZED (
  SELECT
    app,
    changed_at,
    side,
    begins_at,
    ends_at,
    unnest(range(
      steps_since_1970(epoch_us(begins_at), 60000000), steps_since_1970(epoch_us(ends_at), 60000000) + 1
    )) AS minute_number
  FROM (
    SELECT
      app,
      changed_at,
      'before' AS side,
      changed_at - to_microseconds(window_us) AS begins_at,
      changed_at AS ends_at
    FROM compared
    UNION ALL
    SELECT app, changed_at, 'after', changed_at, changed_at + to_microseconds(window_us)
    FROM compared
  )
),
requests AS MATERIALIZED (
  SELECT
    touched.app,
    changed_at,
    side,
    CASE WHEN dyno IS NOT NULL AND status IS DISTINCT FROM 101 THEN service_ms END AS value,
    -- Requests that the client broke off (H27, H28) or that Heroku turned away as asked (maintenance) are no errors.
    coalesce(code NOT IN ('H16', 'H27', 'H28', 'H80', 'H83'), status >= 500, false) AS failed,
    coalesce(code = 'H12', false) AS timed_out,
    count(*) AS requests
  FROM router_between(since, until, app_name) AS router
  JOIN touched
    ON touched.app = router.app
      AND touched.minute_number = steps_since_1970(epoch_us(router.timestamp), 60000000)
      AND router.timestamp >= begins_at
      AND router.timestamp < ends_at
  WHERE source = 'heroku'
  GROUP BY ALL
),
counts AS (
  SELECT
    app,
    changed_at,
    sum_where(requests, side = 'before') AS values_before,
    sum_where(requests, side = 'after') AS values_after,
    measure,
    sum_where(requests, side = 'before' AND hit) AS hits_before,
    sum_where(requests, side = 'after' AND hit) AS hits_after
  FROM (
    SELECT app, changed_at, side, 'error_share' AS measure, failed AS hit, requests FROM requests
    UNION ALL
    SELECT app, changed_at, side, 'h12_share', timed_out, requests FROM requests
  )
  GROUP BY app, changed_at, measure
),
shares AS (
  SELECT
    app,
    changed_at,
    measure,
    CASE WHEN values_before > 0 THEN hits_before / values_before END AS before,
    CASE WHEN values_after > 0 THEN hits_after / values_after END AS after,
    newcombe_low(hits_before, values_before, hits_after, values_after, 1.96) AS difference_low,
    newcombe_high(hits_before, values_before, hits_after, values_after, 1.96) AS difference_high,
    values_before,
    values_after
  FROM counts
),
-- Each value with its number; two windows that both hold their quantile at 97.5 % give the difference at 95 %.
valued AS (
  SELECT app, changed_at, side, measure, q, value, sum(requests) AS times
  FROM (
    SELECT app, changed_at, side, 'ms' AS unit, value::DOUBLE AS value, requests FROM requests WHERE value IS NOT NULL
    UNION ALL
    SELECT touched.app, changed_at, side, 'mb', samples.value / 1048576, 1
    FROM samples_between(since, until, app_name) AS samples
    JOIN touched
      ON touched.app = samples.app
        AND touched.minute_number = steps_since_1970(epoch_us(samples.timestamp), 60000000)
        AND samples.timestamp >= begins_at
        AND samples.timestamp < ends_at
    WHERE kind = 'dyno' AND metric = 'memory_total' AND starts_with(source, 'web.')
  )
  JOIN (VALUES ('ms', 'p50_ms', 0.5), ('ms', 'p95_ms', 0.95), ('mb', 'memory_mb', 0.5)) AS quantiles (unit, measure, q)
    USING (unit)
  GROUP BY ALL
),
ranked AS (
  SELECT
    *,
    sum(times) OVER (PARTITION BY app, changed_at, side, measure ORDER BY value) AS up_to,
    (sum(times) OVER (PARTITION BY app, changed_at, side, measure))::BIGINT AS trials
  FROM valued
),
bounded AS (
  SELECT
    app,
    changed_at,
    side,
    measure,
    min(value) FILTER (WHERE up_to >= ceil(q * trials)) AS middle,
    min(value) FILTER (WHERE up_to >= quantile_rank_low(trials, q, 2.2414)) AS lowest,
    min(value) FILTER (WHERE up_to >= quantile_rank_high(trials, q, 2.2414)) AS highest,
    any_value(trials) AS trials
  FROM ranked
  GROUP BY app, changed_at, side, measure
),
quantiles AS (
  SELECT
    app,
    changed_at,
    measure,
    max(middle) FILTER (WHERE side = 'before') AS before,
    max(middle) FILTER (WHERE side = 'after') AS after,
    max(lowest) FILTER (WHERE side = 'after') - max(highest) FILTER (WHERE side = 'before') AS difference_low,
    max(highest) FILTER (WHERE side = 'after') - max(lowest) FILTER (WHERE side = 'before') AS difference_high,
    coalesce(max(trials) FILTER (WHERE side = 'before'), 0) AS values_before,
    coalesce(max(trials) FILTER (WHERE side = 'after'), 0) AS values_after
  FROM bounded
  GROUP BY app, changed_at, measure
),
answers AS (
  FROM shares
  UNION ALL
  FROM quantiles
)
SELECT *
FROM (
  SELECT
    app,
    changed_at,
    change,
    version,
    measure,
    CASE
      WHEN difference_low IS NULL OR difference_high IS NULL THEN 'too few values'
      WHEN difference_low > CASE measure WHEN 'memory_mb' THEN before / 20 ELSE 0 END THEN 'worse'
      WHEN difference_high < 0 AND measure <> 'memory_mb' THEN 'better'
      ELSE 'no difference shown'
    END AS verdict,
    before,
    after,
    CASE WHEN difference_high IS NOT NULL THEN difference_low END AS difference_low,
    CASE WHEN difference_low IS NOT NULL THEN difference_high END AS difference_high,
    coalesce(values_before, 0) AS values_before,
    coalesce(values_after, 0) AS values_after,
    window_us / 6e7 AS window_minutes
  FROM compared
  CROSS JOIN (SELECT unnest(['error_share', 'h12_share', 'p50_ms', 'p95_ms', 'memory_mb']) AS measure) AS measures
  LEFT JOIN answers USING (app, changed_at, measure)
  UNION ALL
  SELECT
    error('deploy_impact compares windows of 1 to 1440 minutes; try minutes := 60.'),
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
  WHERE coalesce(minutes NOT BETWEEN 1 AND 1440, true)
)
ORDER BY app, changed_at DESC, list_position(['error_share', 'h12_share', 'p50_ms', 'p95_ms', 'memory_mb'], measure);
