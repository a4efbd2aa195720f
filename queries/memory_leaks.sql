-- question: Which dynos leak memory, how fast, and when do they reach their quota?
-- one row per: app, dyno and life of the dyno (from start to restart) in which its memory was measured after the warm-up
-- parameters:
--   since: First instant looked at (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
--   warm_up_minutes: Minutes of each life left out, 0 to 1440, in which memory grows anyway; of a life whose start was not seen, they count from its first measurement.
-- columns:
--   app VARCHAR: The app.
--   dyno VARCHAR: The dyno.
--   life BIGINT: Number of the dyno's life in the window; 0 is the one that was running before.
--   started_at TIMESTAMPTZ: When the life began; NULL if that was not seen.
--   ended_at TIMESTAMPTZ: When it ended; NULL if it goes on.
--   verdict VARCHAR: 'leak' (grows, and in the last third of the life still more than half as fast as in the first), 'bloat' (grew, then levelled off), 'steady' (no growth shown, or under 2 % of the quota in all) or 'too short' (under 10 measurements or under an hour).
--   slope_mb_per_hour DOUBLE: Growth by Theil and Sen: the median of the slopes between all pairs of measurements.
--   slope_low_mb_per_hour DOUBLE: Lower end of its 95 % interval (Sen's ranks); measurements that follow each other closely are alike, so the true interval is somewhat wider.
--   slope_high_mb_per_hour DOUBLE: Upper end of it.
--   first_third_mb_per_hour DOUBLE: The growth within the first third of the time measured.
--   last_third_mb_per_hour DOUBLE: The growth within the last third.
--   measured_hours DOUBLE: Time from the first to the last measurement after the warm-up.
--   points BIGINT: Measurements compared: all if they are 200 at most, or else the medians of 200 equal slices of the time.
--   last_mb DOUBLE: The last of these points.
--   quota_mb DOUBLE: What the dyno's type allows; NULL when no line tells it.
--   hours_to_r14 DOUBLE: For a leak, hours from the last point until the quota is reached at this slope; 0 if it was over it.
--   r14_at TIMESTAMPTZ: For a leak, the instant of that, or the first point over the quota; a restart before it prevents it.
--   lives_alike BIGINT: Lives of the same process type (web, worker ...) in the window that are long enough for a verdict.
--   leaks_alike BIGINT: Of these, leaks: if most are, it is the code; if one is, look at what that dyno did.
-- cost: Two passes over the samples and two over the platform files of the days asked about, then 19,900 pairs at most for each life; one-off dynos live too short to appear.
-- example: SELECT * FROM memory_leaks(since := now() - INTERVAL 7 DAY) WHERE verdict = 'leak'
CREATE OR REPLACE MACRO memory_leaks(since := NULL, until := NULL, app_name := NULL, warm_up_minutes := 30) AS TABLE
WITH lives AS (
  SELECT *, coalesce(started_at, '-infinity'::TIMESTAMPTZ) AS begins_at FROM dyno_lives(since, until, app_name)
),
totals AS (
  SELECT app, source AS dyno, timestamp, value / 1048576 AS mb
  FROM samples_between(since, until, app_name)
  WHERE kind = 'dyno' AND metric = 'memory_total'
),
measured AS MATERIALIZED (
  SELECT totals.app, totals.dyno, coalesce(life, 0) AS life, started_at, ended_at, timestamp, mb
  FROM totals ASOF LEFT JOIN lives
    ON totals.app = lives.app AND totals.dyno = lives.dyno AND totals.timestamp >= lives.begins_at
  WHERE ended_at IS NULL OR timestamp < ended_at
),
warm AS (
  SELECT
    app,
    dyno,
    life,
    coalesce(started_at, min(timestamp)) + least(greatest(warm_up_minutes, 0), 1440) * INTERVAL 1 MINUTE AS warm_at
  FROM measured
  GROUP BY app, dyno, life, started_at
),
spans AS MATERIALIZED (
  SELECT
    app,
    dyno,
    life,
    started_at,
    ended_at,
    warm_at,
    count(*) AS measurements,
    epoch_us(min(timestamp)) AS first_us,
    epoch_us(max(timestamp)) AS last_us
  FROM measured JOIN warm USING (app, dyno, life)
  WHERE timestamp >= warm_at
  GROUP BY app, dyno, life, started_at, ended_at, warm_at
),
-- All pairs of n points are n²/2 slopes, so a long life is reduced to few points first.
points AS MATERIALIZED (
  SELECT
    app,
    dyno,
    life,
    median(epoch_us(timestamp))::BIGINT AS at_us,
    median(mb) AS mb,
    3 * (at_us - any_value(first_us)) // (any_value(last_us) - any_value(first_us) + 1) AS third
  FROM measured JOIN spans USING (app, dyno, life)
  WHERE timestamp >= warm_at
  GROUP BY
    app,
    dyno,
    life,
    CASE
      WHEN measurements <= 200 THEN epoch_us(timestamp)
      ELSE 200 * (epoch_us(timestamp) - first_us) // (last_us - first_us + 1)
    END
),
slopes AS (
  SELECT
    app,
    dyno,
    life,
    list_sort(list(slope)) AS sorted,
    median(slope) FILTER (WHERE earlier_third = 0 AND later_third = 0) AS first_third,
    median(slope) FILTER (WHERE earlier_third = 2 AND later_third = 2) AS last_third
  FROM (
    SELECT
      app,
      dyno,
      life,
      (later.mb - earlier.mb) * 3600000000 / (later.at_us - earlier.at_us) AS slope,
      earlier.third AS earlier_third,
      later.third AS later_third
    FROM points AS earlier JOIN points AS later USING (app, dyno, life)
    WHERE earlier.at_us < later.at_us
  )
  GROUP BY app, dyno, life
),
-- The variance of Kendall's S, less what equal values take from it.
counted AS (
  SELECT
    app,
    dyno,
    life,
    sum(times)::BIGINT AS points,
    1.959963984540054 * sqrt(
      (
        sum(times) * (sum(times) - 1) * (2 * sum(times) + 5)
        - sum(times * (times - 1) * (2 * times + 5))
      ) / 18
    ) AS reach,
    max(last_point).mb AS last_mb,
    max(last_point).at_us AS last_at_us
  FROM (
    SELECT app, dyno, life, mb, count(*) AS times, max({'at_us': at_us, 'mb': mb}) AS last_point
    FROM points
    GROUP BY app, dyno, life, mb
  )
  GROUP BY app, dyno, life
),
fitted AS (
  SELECT
    app,
    dyno,
    life,
    points,
    last_mb,
    last_at_us,
    first_third,
    last_third,
    (sorted[(len(sorted) + 1) // 2] + sorted[len(sorted) // 2 + 1]) / 2 AS slope,
    sorted[greatest(round((len(sorted) - reach) / 2)::BIGINT, 1)] AS slope_low,
    sorted[least(round((len(sorted) + reach) / 2)::BIGINT + 1, len(sorted))] AS slope_high
  FROM counted LEFT JOIN slopes USING (app, dyno, life)
),
over AS (
  SELECT app, dyno, life, min(at_us) AS over_us
  FROM points JOIN dyno_quotas(since, until, app_name) USING (app, dyno)
  WHERE mb >= quota_mb
  GROUP BY app, dyno, life
),
judged AS (
  SELECT
    *,
    (last_us - first_us) / 3600000000 AS measured_hours,
    CASE
      WHEN points < 10 OR measured_hours < 1 THEN 'too short'
      WHEN slope_low <= 0 OR slope * measured_hours < 0.02 * coalesce(quota_mb, last_mb) THEN 'steady'
      WHEN last_third > 0.5 * CASE WHEN first_third > 0 THEN first_third ELSE slope END THEN 'leak'
      ELSE 'bloat'
    END AS verdict
  FROM spans
  JOIN fitted USING (app, dyno, life)
  LEFT JOIN over USING (app, dyno, life)
  LEFT JOIN dyno_quotas(since, until, app_name) USING (app, dyno)
)
SELECT *
FROM (
  SELECT
    app,
    dyno,
    life,
    started_at,
    ended_at,
    verdict,
    slope AS slope_mb_per_hour,
    slope_low AS slope_low_mb_per_hour,
    slope_high AS slope_high_mb_per_hour,
    first_third AS first_third_mb_per_hour,
    last_third AS last_third_mb_per_hour,
    measured_hours,
    points,
    last_mb,
    quota_mb,
    CASE WHEN verdict = 'leak' THEN CASE WHEN over_us IS NOT NULL THEN 0 ELSE (quota_mb - last_mb) / slope END END
      AS hours_to_r14,
    CASE WHEN verdict = 'leak' THEN make_timestamptz(coalesce(over_us, last_at_us + (hours_to_r14 * 3600000000)::BIGINT)) END
      AS r14_at,
    count(*) FILTER (WHERE verdict <> 'too short') OVER alike AS lives_alike,
    count(*) FILTER (WHERE verdict = 'leak') OVER alike AS leaks_alike
  FROM judged
  WINDOW alike AS (PARTITION BY app, split_part(dyno, '.', 1))
  UNION ALL
  SELECT
    error('The warm-up of memory_leaks is 0 to 1440 minutes; try warm_up_minutes := 30.'),
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
  WHERE coalesce(warm_up_minutes NOT BETWEEN 0 AND 1440, true)
)
ORDER BY app, verdict <> 'leak', slope_mb_per_hour DESC, dyno, life;
