-- question: How much memory do the dynos use over time, and how near do they come to their quota?
-- one row per: app, dyno and step of time in which its memory was measured
-- parameters:
--   since: First instant looked at (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
--   step_minutes: Length of a step in whole minutes, 1 to 86400; steps are counted from midnight UTC where they divide a day.
-- columns:
--   app VARCHAR: The app.
--   dyno VARCHAR: The dyno.
--   begins_at TIMESTAMPTZ: Begin of the step.
--   measured BIGINT: Measurements of total memory in the step; 0 when the app does not have Heroku's log-runtime-metrics and only its lines about dynos over quota tell anything.
--   total_mb DOUBLE: Memory in use (RSS, swap and page cache together), the median of the step; NULL if not measured.
--   rss_mb DOUBLE: Of this, resident memory of the processes, its median.
--   swap_mb DOUBLE: Of this, swapped out, its median; anything but 0 makes the dyno slow.
--   cache_mb DOUBLE: Of this, page cache, its median.
--   peak_mb DOUBLE: Most memory in use, by measurements and by Heroku's lines about dynos over quota.
--   peak_at TIMESTAMPTZ: When that was first so.
--   quota_mb DOUBLE: What the dyno's type allows; NULL when no line tells it.
--   peak_percent DOUBLE: Peak by quota in percent; from 100 on Heroku logs R14 and the dyno swaps.
--   r14_errors BIGINT: R14 errors in the step.
-- cost: One pass over the samples and one over the platform files of the days asked about.
-- example: SELECT * FROM dyno_memory(since := now() - INTERVAL 1 DAY) WHERE peak_percent > 80
CREATE OR REPLACE MACRO dyno_memory(since := NULL, until := NULL, app_name := NULL, step_minutes := 60) AS TABLE
WITH measured AS (
  SELECT
    app,
    source AS dyno,
    timestamp,
    metric,
    value / 1048576 AS mb,
    CASE WHEN metric = 'memory_total' THEN value / 1048576 END AS used_mb,
    CASE WHEN metric = 'memory_quota' AND value > 0 THEN value / 1048576 END AS quota_mb
  FROM samples_between(since, until, app_name)
  WHERE kind = 'dyno' AND metric IN ('memory_total', 'memory_rss', 'memory_swap', 'memory_cache', 'memory_quota')
  UNION ALL
  SELECT
    app,
    dyno,
    timestamp,
    CASE WHEN event = 'memory' THEN 'over_quota' ELSE 'r14' END,
    memory_mb,
    CASE WHEN event = 'memory' THEN memory_mb END,
    CASE WHEN event = 'memory' THEN quota_of(memory_mb, memory_percent) END
  FROM platform_between(since, until, app_name)
  WHERE event = 'memory' OR (code = 'R14' AND dyno IS NOT NULL)
),
-- Grouped by metric too, so that the rows are read once and each is sorted among those of its metric alone.
metrics AS MATERIALIZED (
  SELECT
    app,
    dyno,
    steps_since_1970(epoch_us(timestamp), 60 * step_us(step_minutes)) AS step,
    metric,
    count(*) AS lines,
    quantile_disc(mb, 0.5) AS median_mb,
    max({'mb': used_mb, 'before': -epoch_us(timestamp)}) FILTER (WHERE used_mb IS NOT NULL) AS peak,
    arg_max(quota_mb, timestamp) AS quota_mb
  FROM measured
  GROUP BY ALL
),
steps AS (
  SELECT
    app,
    dyno,
    step,
    coalesce(any_value(lines) FILTER (WHERE metric = 'memory_total'), 0) AS measured,
    any_value(median_mb) FILTER (WHERE metric = 'memory_total') AS total_mb,
    any_value(median_mb) FILTER (WHERE metric = 'memory_rss') AS rss_mb,
    any_value(median_mb) FILTER (WHERE metric = 'memory_swap') AS swap_mb,
    any_value(median_mb) FILTER (WHERE metric = 'memory_cache') AS cache_mb,
    max(peak) AS peak,
    arg_max(quota_mb, metric = 'memory_quota') AS quota_mb,
    coalesce(any_value(lines) FILTER (WHERE metric = 'r14'), 0) AS r14_errors
  FROM metrics
  GROUP BY ALL
),
-- The last one seen in the window, as dyno_quotas says it: sampled, or else from Heroku's memory lines.
last_quotas AS (
  SELECT app, dyno, arg_max(quota_mb, (metric = 'memory_quota', step)) AS quota_mb FROM metrics GROUP BY app, dyno
)
SELECT
  app,
  dyno,
  make_timestamptz(step * 60 * step_us(step_minutes)) AS begins_at,
  measured,
  total_mb,
  rss_mb,
  swap_mb,
  cache_mb,
  peak.mb AS peak_mb,
  make_timestamptz(-peak.before) AS peak_at,
  coalesce(steps.quota_mb, last_quotas.quota_mb) AS quota_mb,
  peak.mb / coalesce(steps.quota_mb, last_quotas.quota_mb) * 100 AS peak_percent,
  r14_errors
FROM steps
LEFT JOIN last_quotas USING (app, dyno)
WHERE peak IS NOT NULL OR r14_errors > 0
UNION ALL
SELECT
  error('dyno_memory counts in steps of 1 to 86400 whole minutes; try step_minutes := 60.'),
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE coalesce(step_minutes NOT BETWEEN 1 AND 86400 OR step_minutes % 1 <> 0, true)
ORDER BY app, dyno, begins_at;
