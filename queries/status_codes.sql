-- question: Which HTTP statuses did each app answer with?
-- one row per: app, status and kind of log
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer counted; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
-- columns:
--   app VARCHAR: The app.
--   status SMALLINT: HTTP status sent to the client, 499 when the client went away; NULL when none was sent (H24).
--   requests BIGINT: Requests with it.
--   share DOUBLE: Their part of the app's requests in the window and the same kind of log, from 0 to 1.
--   source VARCHAR: Whose log the requests are from: 'heroku', or 'elb' or 'alb' for an imported one.
-- cost: One pass over the router files of the days asked about.
-- example: SELECT * FROM status_codes(since := now() - INTERVAL 1 DAY)
CREATE OR REPLACE MACRO status_codes(since := NULL, until := NULL, app_name := NULL) AS TABLE
SELECT
  app,
  status,
  count(*) AS requests,
  count(*) / sum(count(*)) OVER (PARTITION BY app, source) AS share,
  source
FROM router_between(since, until, app_name)
GROUP BY app, status, source
ORDER BY app, requests DESC, status, source;
