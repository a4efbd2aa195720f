-- The dyno types an app can choose, their memory, and the CPU cores a process sees there. Eco and Basic are as
-- Standard-1X, Private and Shield dynos as the Performance dyno of their letter. The cores of the three largest follow
-- from the compute power that Heroku states for them (24, 50 and 100 times; Performance-L with 8 cores has 50).
CREATE OR REPLACE MACRO dyno_types() AS TABLE
  FROM (
    VALUES
      ('standard-1x', 512, 8),
      ('standard-2x', 1024, 8),
      ('performance-m', 2560, 2),
      ('performance-l', 14336, 8),
      ('performance-l-ram', 30720, 4),
      ('performance-xl', 63488, 8),
      ('performance-2xl', 129024, 16)
  ) AS types (of_type, memory_mb, cores);

-- The workers that the PHP buildpack starts on a dyno (its bin/util/autotune.php): by cores and memory, linear in the
-- limit, never more than fit into the memory, never none.
CREATE OR REPLACE MACRO php_workers(ram_mb, core_count, limit_of_php_mb) AS
  greatest(
    1,
    least(
      floor(ram_mb / limit_of_php_mb),
      floor(ceil(log2(ram_mb / 128)) * core_count * 2 * 128 / limit_of_php_mb)
    )
  )::BIGINT;

-- The quota behind a line such as "mem=903M(176.1%)": both figures are rounded, so the dyno type within 2 % of their
-- ratio is taken where there is one.
CREATE OR REPLACE MACRO quota_of(used_mb, used_percent) AS
  coalesce(
    list_filter(
      [512.0, 1024, 2560, 14336, 30720, 63488, 129024],
      lambda size: abs(used_mb * 100 / nullif(used_percent, 0) / size - 1) < 0.02
    )[1]::DOUBLE,
    nullif(used_mb * 100 / nullif(used_percent, 0), 0)
  );

-- The memory quota of each dyno, the last one seen in [since, until): sampled, or else from Heroku's memory lines,
-- which come only from a dyno over its quota.
CREATE OR REPLACE MACRO dyno_quotas(since, until, app_name) AS TABLE
  SELECT app, dyno, arg_max(quota_mb, (is_sampled, timestamp)) AS quota_mb
  FROM (
    SELECT app, source AS dyno, true AS is_sampled, timestamp, value / 1048576 AS quota_mb
    FROM samples_between(since, until, app_name)
    WHERE kind = 'dyno' AND metric = 'memory_quota' AND value > 0
    UNION ALL
    SELECT app, dyno, false, timestamp, quota_of(memory_mb, memory_percent)
    FROM platform_between(since, until, app_name)
    WHERE event = 'memory' AND memory_percent > 0
  )
  GROUP BY app, dyno;
