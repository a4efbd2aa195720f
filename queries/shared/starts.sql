-- The starts of dynos in [since, until), each with its reason; one-off dynos (run, scheduler, release) are left out.
-- `away_at` is the end of the dyno's life before, NULL if there was none in the window or it had been down on purpose.
-- `reason` is 'memory' (R15: stopped for using far too much), 'crash', 'cycling' (the daily restart), 'deploy',
-- 'rollback', 'config', 'addon', 'scale' or 'release' (at most 5 minutes after such a change, whose instant is
-- `changed_at`), 'woken' (it was idle or scaled down), 'restart' (stopped with no reason logged, as by hand) or
-- 'unknown' (its first sign in the window).
CREATE OR REPLACE MACRO dyno_starts(since, until, app_name) AS TABLE
WITH starts AS (
  SELECT
    app,
    dyno,
    started_at,
    up_at,
    ended_at,
    ended,
    lag({'ended_at': ended_at, 'ended': ended, 'exit_status': exit_status})
      OVER (PARTITION BY app, dyno ORDER BY life) AS before
  FROM dyno_lives(since, until, app_name)
  WHERE NOT regexp_matches(dyno, '^(run|scheduler|release)\.')
),
kills AS (
  SELECT app, dyno, timestamp AS killed_at FROM platform_between(since, until, app_name) WHERE code = 'R15'
),
changes AS (
  SELECT app, changed_at, change
  FROM app_changes(since, until, app_name)
  WHERE change NOT IN ('build', 'other')
),
told AS (
  SELECT starts.*, killed_at, changed_at, change
  FROM starts
  ASOF LEFT JOIN kills
    ON kills.app = starts.app AND kills.dyno = starts.dyno AND kills.killed_at <= starts.started_at
  ASOF LEFT JOIN changes ON changes.app = starts.app AND changes.changed_at <= starts.started_at
  WHERE started_at IS NOT NULL
),
judged AS (
  SELECT
    * EXCLUDE (change),
    CASE
      WHEN killed_at >= before.ended_at - INTERVAL 1 MINUTE THEN 'memory'
      WHEN before.ended = 'crash' AND coalesce(changed_at < before.ended_at, true) THEN 'crash'
      WHEN before.ended = 'cycle' THEN 'cycling'
      WHEN started_at <= changed_at + INTERVAL 5 MINUTE THEN change
      WHEN before.ended = 'crash' THEN 'crash'
      WHEN before.ended = 'down' THEN 'woken'
      WHEN before.ended IN ('restart', 'exit') THEN 'restart'
      ELSE 'unknown'
    END AS reason
  FROM told
)
SELECT
  app,
  dyno,
  reason,
  CASE WHEN before.ended <> 'down' THEN before.ended_at END AS away_at,
  before.exit_status AS exit_status,
  started_at,
  up_at,
  ended_at,
  ended = 'crash' AND up_at IS NULL AS failed,
  CASE WHEN reason IN ('deploy', 'rollback', 'config', 'addon', 'scale', 'release') THEN changed_at END AS changed_at
FROM judged;
