-- question: Which errors do PHP, php-fpm and nginx report, how often, where in the code and on which routes?
-- one row per: app, component, level, shape of the message, file and line
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer counted; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
-- columns:
--   app VARCHAR: The app.
--   component VARCHAR: Who reports it: 'php', 'php-fpm' or 'nginx'.
--   level VARCHAR: The level in the reporter's words; NULL for what the app itself wrote with error_log().
--   shape VARCHAR: The message with numbers, quoted text and paths masked, so that one error is one row; its first 300 characters.
--   file VARCHAR: The PHP file named.
--   line INTEGER: The line in that file.
--   errors BIGINT: How often it was reported; an app whose PHP logs through nginx too reports each twice.
--   first_at TIMESTAMPTZ: When it was reported first.
--   last_at TIMESTAMPTZ: When it was reported last.
--   dynos BIGINT: Number of dynos it was reported by; a single one may be broken itself.
--   routes BIGINT: Number of routes known to be hit; 0 where neither the line nor the router tells.
--   top_route VARCHAR: The route hit most often; of a fatal error without a request, that of the 500 that the router logged on the same dyno within a second.
--   example VARCHAR: The first of the messages, as it was logged.
-- cost: Two passes over the php files of the days asked about, and one over router for the 500s, of a second more on both sides.
-- example: SELECT * FROM php_errors(since := now() - INTERVAL 1 DAY) LIMIT 20
CREATE OR REPLACE MACRO php_errors(since := NULL, until := NULL, app_name := NULL) AS TABLE
-- php-fpm's remarks on slow requests and its slow log are no errors; php_slow has them.
WITH events AS (
  SELECT
    app,
    component,
    level,
    message,
    php_message_shape(message) AS shape,
    file,
    line,
    dyno,
    found_route AS route,
    timestamp
  FROM php_with_routes(since, until, app_name)
  WHERE component IS DISTINCT FROM 'php-fpm'
    OR NOT (level IS NULL OR contains(message, ' executing too slow ('))
),
-- By route first: so few rows are left that the most frequent one is found cheaply.
by_route AS (
  SELECT
    app,
    component,
    level,
    shape,
    file,
    line,
    route,
    count(*) AS errors,
    list(DISTINCT dyno) AS on_dynos,
    min({'at': timestamp, 'message': message}) AS earliest,
    max(timestamp) AS last_at
  FROM events
  GROUP BY app, component, level, shape, file, line, route
)
SELECT
  app,
  component,
  level,
  shape,
  file,
  line,
  sum(errors)::BIGINT AS errors,
  min(earliest).at AS first_at,
  max(last_at) AS last_at,
  len(list_distinct(flatten(list(on_dynos)))) AS dynos,
  count(route) AS routes,
  arg_min(route, (-errors, route)) FILTER (WHERE route IS NOT NULL) AS top_route,
  min(earliest).message AS example
FROM by_route
GROUP BY app, component, level, shape, file, line
ORDER BY errors DESC, app, component, level, shape, file, line;
