-- question: How well are the databases: load, memory, cache hits, disk, waiting, slow statements, deadlocks?
-- one row per: app, database and measure; what breaks its threshold comes first
-- parameters:
--   since: First instant looked at (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
-- columns:
--   app VARCHAR: The app.
--   source VARCHAR: The database by the name of its attachment, such as DATABASE or REDIS.
--   kind VARCHAR: 'postgres', 'redis' or 'pgbouncer'.
--   measure VARCHAR: What was measured, by the name Heroku logs it under; 'statement_ms' (statements logged as slow), 'deadlocks_an_hour' and 'timeouts_an_hour' (statements cancelled) come from the server's log, for hours that had any.
--   verdict VARCHAR: 'bad' (half of the measurements or more break the threshold), 'at times' (fewer do, or the server's log tells of some), 'good' (none does) or 'not judged' (no threshold holds for every plan).
--   threshold VARCHAR: What breaks the threshold and what to do then, in words; NULL where none holds for every plan.
--   typical DOUBLE: The median, in the unit beside it.
--   worst DOUBLE: The worst value: the lowest hit rate, the highest of all else.
--   unit VARCHAR: Unit of both: percent, bytes, ms, load, count.
--   worst_at TIMESTAMPTZ: When the worst value was first measured; for an hour, when it began.
--   measurements BIGINT: Measurements the figures are of.
--   broken BIGINT: Of these, measurements that break the threshold; NULL where none holds for every plan.
-- cost: Two passes over samples and one over lines of the days asked about.
-- example: SELECT * FROM database_health(since := now() - INTERVAL 1 DAY) WHERE verdict IN ('bad', 'at times')
CREATE OR REPLACE MACRO database_health(since := NULL, until := NULL, app_name := NULL) AS TABLE
WITH judged (kind, measure, lowest_is_worst, broken_below, broken_above, threshold) AS (
  VALUES
    ('postgres', 'load_avg_1m', false, NULL, NULL, NULL),
    ('postgres', 'load_avg_5m', false, NULL, 1.0,
      'Over 1 per CPU: work queues up. Look for slow statements; a larger plan has more CPUs.'),
    ('postgres', 'index_cache_hit_rate', true, 99.0, NULL,
      'Under 99 %: indexes are read from disk. They no longer fit in memory: drop unused ones or take a larger plan.'),
    ('postgres', 'table_cache_hit_rate', true, 99.0, NULL,
      'Under 99 %: tables are read from disk. Look for sequential scans and add indexes, or take a larger plan.'),
    ('postgres', 'waiting_connections', false, NULL, 0.0,
      'Any: connections wait for a lock. Look for long transactions and for migrations under load.'),
    ('postgres', 'read_iops', false, NULL, NULL, NULL),
    ('postgres', 'write_iops', false, NULL, NULL, NULL),
    ('postgres', 'iops_percentage_used', false, NULL, 90.0,
      'Over 90 % of the plan''s disk operations: statements wait for the disk. Add indexes or take a larger plan.'),
    ('postgres', 'db_size', false, NULL, NULL, NULL),
    ('postgres', 'db_size_percentage_used', false, NULL, 90.0,
      'Over 90 % of the plan''s size: at the limit writing stops. Delete data or take a larger plan.'),
    ('postgres', 'wal_percentage_used', false, NULL, 75.0,
      'Over 75 % of the disk for the write-ahead log: Heroku slows writers down before it fills. Write less at once.'),
    ('postgres', 'tmp_disk_used', false, NULL, NULL, NULL),
    ('postgres', 'memory_postgres', false, NULL, NULL, NULL),
    ('postgres', 'follower_lag_commits', false, NULL, NULL, NULL),
    ('postgres', 'statement_ms', false, NULL, 2000.0,
      'Over 2,000 ms: the request waits that long. EXPLAIN the statement; it stands in lines, process postgres.'),
    ('postgres', 'deadlocks_an_hour', false, NULL, 0.0,
      'Any: one of two transactions was rolled back. Lock rows in the same order everywhere.'),
    ('postgres', 'timeouts_an_hour', false, NULL, 0.0,
      'Any: statements ran into statement_timeout. EXPLAIN them; they stand in lines, process postgres.'),
    ('redis', 'load_avg_5m', false, NULL, NULL, NULL),
    ('redis', 'hit_rate', true, 80.0, NULL,
      'Under 80 %, if it serves as a cache: most of it is missed. Keep keys longer or take a larger plan.'),
    ('redis', 'evicted_keys', false, NULL, 0.0,
      'Any: its memory is full and keys are thrown away. Sessions and jobs get lost: take a larger plan.'),
    ('redis', 'memory_redis', false, NULL, NULL, NULL),
    ('redis', 'read_iops', false, NULL, NULL, NULL),
    ('redis', 'write_iops', false, NULL, NULL, NULL),
    ('pgbouncer', 'client_waiting', false, NULL, 0.0,
      'Any: clients wait for a connection of the pool. Make the pool larger or transactions shorter.'),
    ('pgbouncer', 'max_wait', false, NULL, 1000.0,
      'Over 1,000 ms: a client waited that long for a connection. Make the pool larger or transactions shorter.'),
    ('pgbouncer', 'avg_query', false, NULL, NULL, NULL)
),
logged AS MATERIALIZED (
  SELECT app, source, timestamp, event, duration_ms
  FROM postgres_log_between(since, until, app_name)
  WHERE event IN ('slow', 'deadlock', 'timeout')
),
measured AS (
  SELECT app, source, kind, metric AS measure, value, unit, timestamp
  FROM samples_between(since, until, app_name)
  WHERE kind IN ('postgres', 'redis', 'pgbouncer')
  UNION ALL
  SELECT app, source, 'postgres', 'statement_ms', duration_ms, 'ms', timestamp
  FROM logged
  WHERE event = 'slow' AND duration_ms IS NOT NULL
  UNION ALL
  SELECT
    app,
    source,
    'postgres',
    CASE event WHEN 'deadlock' THEN 'deadlocks_an_hour' ELSE 'timeouts_an_hour' END,
    count(*),
    'count',
    utc_hour(timestamp)
  FROM logged
  WHERE event IN ('deadlock', 'timeout')
  GROUP BY app, source, event, utc_hour(timestamp)
),
counted AS (
  SELECT
    app,
    source,
    kind,
    measure,
    unit,
    any_value(threshold) AS threshold,
    quantile_disc(value, 0.5) AS typical,
    max({'bad': CASE WHEN lowest_is_worst THEN -value ELSE value END, 'before': -epoch_us(timestamp), 'value': value})
      AS worst,
    count(*) AS measurements,
    count(*) FILTER (WHERE value < broken_below OR value > broken_above) AS broken
  FROM measured
  JOIN judged USING (kind, measure)
  GROUP BY app, source, kind, measure, unit
)
SELECT
  app,
  source,
  kind,
  measure,
  CASE
    WHEN threshold IS NULL THEN 'not judged'
    WHEN broken = 0 THEN 'good'
    WHEN measure IN ('statement_ms', 'deadlocks_an_hour', 'timeouts_an_hour') THEN 'at times'
    WHEN 2 * broken < measurements THEN 'at times'
    ELSE 'bad'
  END AS verdict,
  threshold,
  typical,
  worst.value AS worst,
  unit,
  make_timestamptz(-worst.before) AS worst_at,
  measurements,
  CASE WHEN threshold IS NOT NULL THEN broken END AS broken
FROM counted
ORDER BY app, list_position(['bad', 'at times', 'good', 'not judged'], verdict), kind, source, measure, unit;
