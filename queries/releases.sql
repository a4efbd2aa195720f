-- question: What was changed on the app, when and by whom, and which dynos did each change restart?
-- one row per: app and change (deploy, rollback, config vars, add-on, scaling, failed build), latest first
-- parameters:
--   since: First instant looked at (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
-- columns:
--   app VARCHAR: The app.
--   changed_at TIMESTAMPTZ: When Heroku took the change in.
--   change VARCHAR: 'deploy', 'rollback', 'config', 'addon', 'scale', 'release' (no more than that was logged), 'build' (a build failed) or 'other'.
--   version INTEGER: The release it made; NULL if it made none, as scaling does.
--   actor VARCHAR: Who did it; NULL if the line names nobody.
--   message VARCHAR: Heroku's own words.
--   restarts BIGINT: Dynos that were started for it: at most 5 minutes after it, and for no other reason in the log.
--   last_up_at TIMESTAMPTZ: When the last of these was up; NULL if none was seen to come up.
--   rollout_seconds DOUBLE: Seconds from the change to that moment.
-- cost: One pass over releases and two over platform of the days asked about.
-- example: SELECT * FROM releases(since := now() - INTERVAL 7 DAY)
CREATE OR REPLACE MACRO releases(since := NULL, until := NULL, app_name := NULL) AS TABLE
WITH started AS (
  SELECT app, changed_at, count(*) AS restarts, max(up_at) AS last_up_at
  FROM dyno_starts(since, until, app_name)
  WHERE changed_at IS NOT NULL
  GROUP BY app, changed_at
)
SELECT
  app,
  changed_at,
  change,
  version,
  actor,
  message,
  coalesce(restarts, 0) AS restarts,
  last_up_at,
  date_diff('microsecond', changed_at, last_up_at) / 1e6 AS rollout_seconds
FROM app_changes(since, until, app_name)
LEFT JOIN started USING (app, changed_at)
ORDER BY app, changed_at DESC;
