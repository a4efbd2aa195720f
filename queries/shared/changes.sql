-- The changes to apps in [since, until): lines of Heroku's API that carry one instant are one change, such as a deploy
-- and the release it made. What changes nothing is left out: starts of one-off dynos, builds that began or succeeded.
-- `change` is 'rollback', 'deploy', 'config', 'addon', 'scale', 'release' (nothing but the release was logged), 'build'
-- (a build failed) or 'other'. `version` is the release that was made, not the one that was rolled back to.
CREATE OR REPLACE MACRO app_changes(since, until, app_name) AS TABLE
  SELECT
    app,
    timestamp AS changed_at,
    ['rollback', 'deploy', 'config', 'addon', 'scale', 'release', 'build', 'other'][
      min(list_position(['rollback', 'deploy', 'config', 'addon', 'scale', 'release', 'build', 'other'], event))
    ] AS change,
    max(version) FILTER (WHERE event = 'release') AS version,
    max(actor) AS actor,
    coalesce(
      string_agg(DISTINCT message, '; ' ORDER BY message) FILTER (WHERE event <> 'release'),
      max(message)
    ) AS message
  FROM releases_between(since, until, app_name)
  WHERE (event <> 'build' OR starts_with(message, 'Build failed'))
    AND (event <> 'other' OR NOT starts_with(message, 'Starting process'))
  GROUP BY app, timestamp;
