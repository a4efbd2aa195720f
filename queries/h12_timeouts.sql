-- question: Which routes ran into Heroku's 30-second limit (H12), how often and when?
-- one row per: app and route with at least one H12
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer counted; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
-- columns:
--   app VARCHAR: The app.
--   route VARCHAR: The path with its variable parts named; NULL when the line had no path.
--   timeouts BIGINT: Requests that got no first byte within 30 s (H12).
--   requests BIGINT: All requests of the route that Heroku's router logged in the same window, those that timed out too.
--   first_at TIMESTAMPTZ: When the first of the timeouts was given up; it began 30 s before.
--   last_at TIMESTAMPTZ: When the last of the timeouts was given up.
--   share DOUBLE: Timeouts by requests, from 0 to 1.
--   dynos BIGINT: Number of dynos that the timeouts happened on.
-- cost: One pass over the router files of the days asked about.
-- example: SELECT * FROM h12_timeouts(since := now() - INTERVAL 1 DAY)
CREATE OR REPLACE MACRO h12_timeouts(since := NULL, until := NULL, app_name := NULL) AS TABLE
SELECT
  app,
  route,
  count(*) FILTER (WHERE code = 'H12') AS timeouts,
  count(*) AS requests,
  min(timestamp) FILTER (WHERE code = 'H12') AS first_at,
  max(timestamp) FILTER (WHERE code = 'H12') AS last_at,
  count(*) FILTER (WHERE code = 'H12') / count(*) AS share,
  -- Not as DISTINCT, which groups all requests once more, those that went well too.
  len(list_distinct(list(dyno) FILTER (WHERE code = 'H12'))) AS dynos
FROM router_between(since, until, app_name)
WHERE source = 'heroku'
GROUP BY app, route
HAVING count(*) FILTER (WHERE code = 'H12') > 0
ORDER BY timeouts DESC, app, route;
