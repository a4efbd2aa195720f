-- The bucket of the histogram of service times (ingest/schema.py: LATENCY_BASE) up to which a request counts as within
-- the limit: its edge is the limit itself where a whole number of milliseconds tells them apart, which is so below
-- 50 ms, else the edge nearest to it, above or below. So what is counted on the wrong side took within 1 % of the limit.
CREATE OR REPLACE MACRO latency_edge(limit_ms) AS
  CASE
    WHEN floor(pow(1.02, ceil(ln(limit_ms) / ln(1.02)))) = floor(limit_ms)
      OR pow(1.02, ceil(ln(limit_ms) / ln(1.02))) - limit_ms <= limit_ms - pow(1.02, ceil(ln(limit_ms) / ln(1.02)) - 1)
      THEN ceil(ln(limit_ms) / ln(1.02))::INTEGER
    ELSE ceil(ln(limit_ms) / ln(1.02))::INTEGER - 1
  END;

-- The most milliseconds that still count as within the limit.
CREATE OR REPLACE MACRO counted_limit_ms(limit_ms) AS
  floor(pow(1.02, latency_edge(limit_ms)))::INTEGER;

-- Refuses limits that cannot be counted: what the router gives up on after 30 s has no longer time.
CREATE OR REPLACE MACRO is_countable(limit_ms) AS
  CASE
    WHEN coalesce(limit_ms NOT BETWEEN 1 AND 29000, true)
      THEN error('A limit of service time is 1 to 29000 ms, since the router gives up at 30 s; try latency_ms := 1000.')
    ELSE true
  END;

-- Requests in a histogram beyond one bucket; its buckets are in order.
CREATE OR REPLACE MACRO counted_beyond(buckets, counts, edge) AS
  coalesce(list_sum(counts[len(list_filter(buckets, lambda bucket: bucket <= edge)) + 1:]), 0)::BIGINT;

-- The minutes of apps in [since, until) of which the log was there, which objectives are counted on; of one route where
-- one is named. A minute with lines is counted though it is not covered: its log lost lines, which is what an outage does
-- that floods it, and the share of the requests that were seen is still that of all. Without a line it counts neither way.
CREATE OR REPLACE MACRO objective_minutes(since, until, app_name, route_name, latency_ms) AS TABLE
  WITH asked AS (
    SELECT app, timestamp, is_covered OR lines > 0 AS is_coverage, route_name IS NULL AS is_counted, requests, failed,
      latency_buckets, latency_counts
    FROM minutes_of('app', since, until, app_name)
    UNION ALL
    -- Apart, so that of the routes' row groups only those are read that hold this one.
    SELECT app, timestamp, false, true, requests, failed, latency_buckets, latency_counts
    FROM minutes_of('route', since, until, app_name)
    WHERE key = route_name
  ),
  counted AS (
    SELECT
      app,
      steps_since_1970(epoch_us(timestamp), 60000000) AS minute,
      is_coverage,
      is_counted,
      requests,
      failed,
      coalesce(list_sum(latency_counts), 0)::BIGINT AS timed,
      counted_beyond(latency_buckets, latency_counts, latency_edge(latency_ms)) AS slow
    FROM asked
  )
  SELECT
    app,
    minute,
    sum_where(requests, is_counted) AS requests,
    sum_where(failed, is_counted) AS failed,
    sum_where(timed, is_counted) AS timed,
    sum_where(slow, is_counted) AS slow
  FROM counted
  GROUP BY app, minute
  HAVING bool_or(is_coverage);

-- The number of the first minute (since 1970) that windows ending at `until` do not count: what is left of a minute
-- that has not ended is not counted. Without `until` it follows the newest minute of all.
CREATE OR REPLACE MACRO end_minute(until) AS (
  coalesce(
    steps_since_1970(epoch_us(instant(until)), 60000000),
    (SELECT steps_since_1970(epoch_us(max(timestamp)), 60000000) + 1 FROM minutes WHERE until IS NULL AND per = 'app')
  )
);
