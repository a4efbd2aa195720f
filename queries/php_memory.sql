-- question: Which PHP scripts and routes ran into PHP's memory_limit, and which limit would they have needed?
-- one row per: app, file and line that asked for the memory, limit, script and route
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer counted; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
-- columns:
--   app VARCHAR: The app.
--   route VARCHAR: The route that was asked for; NULL when neither PHP nor the router tells it.
--   script VARCHAR: The script php-fpm was running, where the line names it.
--   file VARCHAR: The PHP file in which the last allocation failed.
--   line INTEGER: The line in that file.
--   times BIGINT: How often the limit was hit; each time a request broke off, usually with a 500.
--   tied BIGINT: Of these, those whose route comes from the router: PHP named none, and it logged a 500 on the same dyno within a second.
--   limit_bytes BIGINT: The memory_limit that was hit.
--   wanted_bytes BIGINT: The largest allocation that failed.
--   least_limit_mb BIGINT: The limit with which each of these allocations would have succeeded (limit and allocation together, in whole MB): try this at least, the script may ask for more after it.
--   cause VARCHAR: 'one large allocation' (a tenth of the limit or more, usually one big file, image or result) or 'many small ones' (the script gathers more and more, such as rows in an array).
--   dynos BIGINT: Number of dynos it happened on.
--   first_at TIMESTAMPTZ: When it happened first.
--   last_at TIMESTAMPTZ: When it happened last.
-- cost: One pass over the php files of the days asked about, and one over router for the 500s, of a second more on both sides.
-- example: SELECT * FROM php_memory(since := now() - INTERVAL 1 DAY)
CREATE OR REPLACE MACRO php_memory(since := NULL, until := NULL, app_name := NULL) AS TABLE
SELECT
  app,
  found_route AS route,
  script,
  file,
  line,
  count(*) AS times,
  count(*) FILTER (WHERE is_tied) AS tied,
  memory_limit_bytes AS limit_bytes,
  max(memory_wanted_bytes) AS wanted_bytes,
  ceil((memory_limit_bytes::HUGEINT + max(memory_wanted_bytes)) / 1048576)::BIGINT AS least_limit_mb,
  CASE
    WHEN quantile_disc(memory_wanted_bytes, 0.5) >= 0.1 * memory_limit_bytes THEN 'one large allocation'
    WHEN max(memory_wanted_bytes) IS NOT NULL THEN 'many small ones'
  END AS cause,
  count(DISTINCT dyno) AS dynos,
  min(timestamp) AS first_at,
  max(timestamp) AS last_at
FROM php_with_routes(since, until, app_name)
WHERE memory_limit_bytes IS NOT NULL
GROUP BY app, found_route, script, file, line, memory_limit_bytes
ORDER BY times DESC, app, route, script, file, line, limit_bytes;
