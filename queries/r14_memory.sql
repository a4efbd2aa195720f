-- question: Which dynos used more memory than their quota (R14), how often, and how much at the worst?
-- one row per: app and dyno with at least one R14
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer counted; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
-- columns:
--   app VARCHAR: The app.
--   dyno VARCHAR: The dyno, such as web.1.
--   errors BIGINT: R14 lines; Heroku repeats them about every 20 s while the dyno is over its quota.
--   first_at TIMESTAMPTZ: The first R14.
--   last_at TIMESTAMPTZ: The last R14.
--   peak_memory_mb DOUBLE: Most memory Heroku reported of the dyno, in MB of 1,048,576 bytes; NULL if it reported none.
--   peak_percent DOUBLE: The same in percent of the dyno's quota; NULL if it reported none.
--   kills BIGINT: R15 lines; after each the dyno is killed.
-- cost: One pass over the platform files of the days asked about; they are small.
-- example: SELECT * FROM r14_memory(since := now() - INTERVAL 1 DAY)
CREATE OR REPLACE MACRO r14_memory(since := NULL, until := NULL, app_name := NULL) AS TABLE
SELECT
  app,
  dyno,
  count(*) FILTER (WHERE code = 'R14') AS errors,
  min(timestamp) FILTER (WHERE code = 'R14') AS first_at,
  max(timestamp) FILTER (WHERE code = 'R14') AS last_at,
  max(memory_mb) AS peak_memory_mb,
  max(memory_percent) AS peak_percent,
  count(*) FILTER (WHERE code = 'R15') AS kills
FROM platform_between(since, until, app_name)
GROUP BY app, dyno
HAVING count(*) FILTER (WHERE code = 'R14') > 0
ORDER BY errors DESC, app, dyno;
