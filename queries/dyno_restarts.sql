-- question: Why were dynos restarted, how long did they take to come up, and which requests failed meanwhile?
-- one row per: app, dyno and reason; one-off dynos (run, scheduler, release) are left out
-- parameters:
--   since: First instant looked at (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
-- columns:
--   app VARCHAR: The app.
--   dyno VARCHAR: The dyno, such as web.1.
--   reason VARCHAR: 'cycling' (the daily restart), 'deploy', 'rollback', 'config', 'addon', 'scale' or 'release' (within 5 minutes of such a change), 'crash', 'memory' (R15), 'woken' (it was idle or scaled down), 'restart' (no reason logged, as by hand) or 'unknown' (its first sign in the window).
--   restarts BIGINT: Starts of the dyno for this reason.
--   failed_boots BIGINT: Of these, starts that crashed before the dyno was up.
--   boot_p50_seconds DOUBLE: Half of the boots took at most these seconds from the start of the process to 'up'; NULL if none came up.
--   boot_max_seconds DOUBLE: The slowest boot, in seconds; Heroku gives up at 60 (R10).
--   away_max_seconds DOUBLE: The longest time from the end of the process before to 'up', in seconds; NULL if that end was not seen.
--   exit_statuses VARCHAR: Exit statuses of the processes before, with their number: 143 is an ordinary stop, 137 was killed; NULL if none was logged.
--   failed_requests BIGINT: Requests that ended in an H code while the dyno was away or booting; one that reached no dyno counts for the web dyno that went away last.
--   codes VARCHAR: These codes, with their number; NULL if there were none.
--   first_at TIMESTAMPTZ: First of the starts.
--   last_at TIMESTAMPTZ: Last of the starts.
-- cost: Two passes over platform and one over releases and router of the days asked about.
-- example: SELECT * FROM dyno_restarts(since := now() - INTERVAL 7 DAY) WHERE reason <> 'cycling'
CREATE OR REPLACE MACRO dyno_restarts(since := NULL, until := NULL, app_name := NULL) AS TABLE
WITH starts AS MATERIALIZED (
  SELECT *, coalesce(away_at, started_at) AS begins_at, coalesce(up_at, ended_at, started_at) AS ends_at
  FROM dyno_starts(since, until, app_name)
),
-- Requests that the client broke off (H27, H28) or that Heroku turned away as asked (maintenance) are no failures.
failures AS (
  SELECT app, dyno, code, timestamp
  FROM router_between(since, until, app_name)
  WHERE source = 'heroku' AND code IS NOT NULL AND code NOT IN ('H16', 'H27', 'H28', 'H80', 'H83')
),
-- Each failure belongs to one start at most: the latest that had begun by then.
hits AS (
  SELECT starts.app, starts.dyno, reason, code
  FROM failures
  ASOF JOIN starts
    ON starts.app = failures.app AND starts.dyno = failures.dyno AND starts.begins_at <= failures.timestamp
  WHERE failures.timestamp <= ends_at
  UNION ALL
  SELECT webs.app, webs.dyno, reason, code
  FROM (FROM failures WHERE dyno IS NULL) AS reached_none
  -- Of dynos that went away at one instant any would do; the last by name makes it the same one each time.
  ASOF JOIN (
    SELECT app, begins_at, max({'dyno': dyno, 'reason': reason, 'ends_at': ends_at}) AS latest
    FROM starts
    WHERE starts_with(dyno, 'web.')
    GROUP BY app, begins_at
  ) AS grouped
    ON grouped.app = reached_none.app AND grouped.begins_at <= reached_none.timestamp
  JOIN starts AS webs
    ON webs.app = grouped.app AND webs.dyno = grouped.latest.dyno AND webs.begins_at = grouped.begins_at
  WHERE reached_none.timestamp <= grouped.latest.ends_at
),
by_code AS (
  SELECT
    app,
    dyno,
    reason,
    sum(requests)::BIGINT AS failed_requests,
    string_agg(code || ' ' || requests, ', ' ORDER BY requests DESC, code) AS codes
  FROM (SELECT app, dyno, reason, code, count(*) AS requests FROM hits GROUP BY ALL)
  GROUP BY app, dyno, reason
),
by_status AS (
  SELECT
    app,
    dyno,
    reason,
    string_agg(exit_status || ' (' || times || ')', ', ' ORDER BY times DESC, exit_status) AS exit_statuses
  FROM (SELECT app, dyno, reason, exit_status, count(*) AS times FROM starts WHERE exit_status IS NOT NULL GROUP BY ALL)
  GROUP BY app, dyno, reason
),
counted AS (
  SELECT
    app,
    dyno,
    reason,
    count(*) AS restarts,
    count(*) FILTER (WHERE failed) AS failed_boots,
    quantile_disc(date_diff('microsecond', started_at, up_at) / 1e6, 0.5) AS boot_p50_seconds,
    max(date_diff('microsecond', started_at, up_at) / 1e6) AS boot_max_seconds,
    max(date_diff('microsecond', away_at, up_at) / 1e6) AS away_max_seconds,
    min(started_at) AS first_at,
    max(started_at) AS last_at
  FROM starts
  GROUP BY app, dyno, reason
)
SELECT
  app,
  dyno,
  reason,
  restarts,
  failed_boots,
  boot_p50_seconds,
  boot_max_seconds,
  away_max_seconds,
  exit_statuses,
  coalesce(failed_requests, 0) AS failed_requests,
  codes,
  first_at,
  last_at
FROM counted
LEFT JOIN by_code USING (app, dyno, reason)
LEFT JOIN by_status USING (app, dyno, reason)
ORDER BY app, failed_requests DESC, restarts DESC, dyno, reason;
