-- Latency from the histograms of `minutes`, which add up. What stands for a bucket is within 1 % of each value in it; its
-- base is LATENCY_BASE of ingest/schema.py, and a test holds the two together.
CREATE OR REPLACE MACRO latency_base() AS 1.02::DOUBLE;

CREATE OR REPLACE MACRO bucket_ms(bucket_number) AS
  CASE
    WHEN bucket_number >= 0 THEN 2 * pow(latency_base(), bucket_number) / (latency_base() + 1)
    WHEN bucket_number < 0 THEN 0
  END;

-- The minutes of one kind. `per` is renamed, else a question's parameter of that name would be taken for the column.
CREATE OR REPLACE MACRO minutes_of(counted_by, since, until, app_name) AS TABLE
  SELECT *
  FROM (SELECT * RENAME (per AS counts) FROM minutes_between(since, until, app_name))
  WHERE counts = counted_by;

-- Percentiles (nearest rank) of the service times by app, key and step: `counted_by` is a `per` of minutes, `width_us` the
-- length of a step in microseconds, and steps are numbered from 1970 on. There is no row where nothing was timed.
CREATE OR REPLACE MACRO latency_steps(counted_by, since, until, app_name, width_us) AS TABLE
WITH groups AS MATERIALIZED (
  SELECT app, key, row_number() OVER () AS id
  FROM (SELECT DISTINCT app, key FROM minutes_of(counted_by, since, until, app_name))
),
-- Numbers in the place of names: sorting by them takes two thirds of the time.
counts AS (
  SELECT id, step, bucket, sum(requests_there)::BIGINT AS requests_there
  FROM (
    SELECT
      id,
      steps_since_1970(epoch_us(timestamp), width_us) AS step,
      unnest(latency_buckets) AS bucket,
      unnest(latency_counts) AS requests_there
    FROM minutes_of(counted_by, since, until, app_name) AS kept
    JOIN groups ON groups.app = kept.app AND groups.key IS NOT DISTINCT FROM kept.key
  )
  GROUP BY ALL
),
ranked AS (
  SELECT
    id,
    step,
    bucket,
    sum(requests_there) OVER (PARTITION BY id, step ORDER BY bucket ROWS UNBOUNDED PRECEDING)::BIGINT AS rank_here,
    sum(requests_there) OVER (PARTITION BY id, step)::BIGINT AS timed
  FROM counts
),
found AS (
  SELECT
    id,
    step,
    max(timed) AS timed,
    bucket_ms(min(bucket) FILTER (WHERE 100 * rank_here >= 50 * timed)) AS p50_ms,
    bucket_ms(min(bucket) FILTER (WHERE 100 * rank_here >= 95 * timed)) AS p95_ms,
    CASE WHEN max(timed) >= 100 THEN bucket_ms(min(bucket) FILTER (WHERE 100 * rank_here >= 99 * timed)) END AS p99_ms
  FROM ranked
  GROUP BY id, step
)
SELECT app, key, step, timed, p50_ms, p95_ms, p99_ms
FROM found
JOIN groups USING (id);
