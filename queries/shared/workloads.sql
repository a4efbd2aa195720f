-- Workloads: groups of routes that are tested by one command. What one is decided by is its name's line in the CASE.
CREATE OR REPLACE MACRO workload_named(is_read, route_name, is_slow) AS
  CASE
    -- Scanner junk, and lines that name no path.
    WHEN route_name IS NULL OR route_name = ':probe' OR NOT starts_with(route_name, '/') THEN 'other'
    -- GET and HEAD may be repeated at will; what any other method changes is not for a generator to find out.
    WHEN NOT coalesce(is_read, false) THEN 'write'
    WHEN regexp_matches(
      lower(route_name),
      '(^|/)(wp-)?(log|sign)[-_]?(in|out|on|off|up)(\.[a-z]+)?(/|$)|(^|/)(oauth2?|auth|password|register)(\.[a-z]+)?(/|$)'
    ) THEN 'login'
    WHEN regexp_matches(
      lower(route_name),
      '\.(css|m?js|map|png|jpe?g|gif|svg|webp|avif|ico|bmp|woff2?|ttf|otf|eot|mp[34]|webm|ogg|wasm|pdf|zip|webmanifest)$|^/robots\.txt$'
    ) THEN 'static'
    WHEN is_slow THEN 'heavy'
    WHEN regexp_matches(lower(route_name), '^/(api|rest|rpc|graphql|wp-json)(/|$)|^/v[0-9]+/|\.json$') THEN 'api'
    ELSE 'page'
  END;

-- Whether a generator can send a path again: nothing redacted, no bytes that are no UTF-8 (written `\xFF`), no lone
-- percent sign, which the newer router leaves of a decoded one.
CREATE OR REPLACE MACRO can_be_asked_again(logged_path) AS
  starts_with(logged_path, '/')
  AND length(logged_path) <= 1000
  AND NOT contains(logged_path, '[REDACTED]')
  AND NOT contains(logged_path, '\')
  AND NOT regexp_matches(logged_path, '%([^0-9A-Fa-f]|[0-9A-Fa-f][^0-9A-Fa-f]|[0-9A-Fa-f]?$)');

-- A path with all but these characters percent-encoded. Log paths are written by attackers; what is left means nothing
-- in a shell's quotes, in a string of JavaScript or Python, or in a list of targets.
CREATE OR REPLACE MACRO encoded_path(logged_path) AS
  array_to_string(
    list_transform(
      string_split(logged_path, ''),
      lambda c: CASE WHEN regexp_full_match(c, '[A-Za-z0-9/?&=%+,:@~_.-]') THEN c ELSE url_encode(c) END
    ),
    ''
  );

-- The routes of [since, until), each with its workload. What was answered with content, or held a worker until the router
-- gave up, is good to be asked again; `sampled_from` is when the last hours begin that have 100 such requests.
CREATE OR REPLACE MACRO workloads_between(since, until, app_name, heavy_from_ms) AS TABLE
WITH hourly AS (
  SELECT
    app,
    coalesce(method IN ('GET', 'HEAD'), false) AS is_read,
    route,
    steps_since_1970(epoch_us(timestamp), 3600000000) AS hour,
    count(*) AS requests,
    count(service_ms) FILTER (WHERE dyno IS NOT NULL OR code IS NULL) AS timed,
    count(*) FILTER (WHERE (dyno IS NOT NULL OR code IS NULL) AND service_ms < heavy_from_ms) AS quick,
    count(*) FILTER (WHERE status BETWEEN 200 AND 299 OR status = 304 OR code = 'H12') AS good
  FROM router_between(since, until, app_name)
  WHERE status IS DISTINCT FROM 101
  GROUP BY ALL
)
SELECT
  app,
  is_read,
  route,
  -- By the median, which is heavy_from_ms or more if fewer than half are quicker.
  workload_named(is_read, route, 2 * sum(quick) < sum(timed)) AS workload,
  sum(requests)::BIGINT AS requests,
  make_timestamptz(3600000000 * min(hour) FILTER (WHERE good_later < 100)) AS sampled_from
FROM (
  SELECT *, sum(good) OVER (PARTITION BY app, is_read, route ORDER BY hour DESC) - good AS good_later
  FROM hourly
)
GROUP BY app, is_read, route;

-- A scheme and a host, perhaps a port, and nothing more; NULL is one too. Whatever fits needs no quoting anywhere.
CREATE OR REPLACE MACRO is_target_url(url) AS
  coalesce(regexp_full_match(url, 'https?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?'), true);

-- A figure in ab's output by a pattern with one group; NULL where it is not there.
CREATE OR REPLACE MACRO ab_number(pattern, printed) AS nullif(regexp_extract(printed, pattern, 1), '');

-- Up to 50 real addresses of each workload that may be tested, with what each stands for of the requests: its part of
-- its route's sample. No path with a redacted value is among them. `known_routes` is a list of `workloads_between`, so
-- that whoever needs it for more makes it once.
--
-- A sample is the last good paths of a route that is read: most of them are those asked for most. They are looked for in
-- its last hours: looking at all paths costs as much as all else of a plan.
CREATE OR REPLACE MACRO addresses_of(known_routes, since, until, app_name, target_url) AS TABLE
WITH routes AS MATERIALIZED (
  SELECT *
  FROM (SELECT unnest(known_routes, recursive := true))
  WHERE is_read AND workload IN ('static', 'page', 'api', 'heavy')
),
-- The struct orders ties of the time by the path, so that the sample does not depend on the order of files.
samples AS (
  SELECT app, route, max({'at': timestamp, 'path': path}, 10) FILTER (WHERE can_be_asked_again(path)) AS sample
  FROM router_between(since, until, app_name)
  JOIN routes USING (app, route)
  WHERE timestamp >= sampled_from
    AND method IN ('GET', 'HEAD') AND (status BETWEEN 200 AND 299 OR status = 304 OR code = 'H12')
  GROUP BY app, route
)
SELECT
  app,
  workload,
  coalesce(target_url, 'https://your-staging-app.invalid') || path AS url,
  greatest(round(weight), 1)::BIGINT AS requests
FROM (
  SELECT app, workload, encoded_path(path) AS path, sum(requests / length(sample)) AS weight
  FROM (
    SELECT app, workload, requests, sample, unnest(sample).path AS path
    FROM routes JOIN samples USING (app, route)
  )
  GROUP BY ALL
)
QUALIFY row_number() OVER (PARTITION BY app, workload ORDER BY weight DESC, path) <= 50;

CREATE OR REPLACE MACRO load_test_addresses(since, until, app_name, target_url, heavy_from_ms) AS TABLE
WITH routes AS MATERIALIZED (FROM workloads_between(since, until, app_name, heavy_from_ms))
FROM addresses_of((SELECT list(routes) FROM routes), since, until, app_name, target_url);

-- A rate in words: three figures, and no exponent.
CREATE OR REPLACE MACRO rate_text(per_second) AS
  CASE WHEN per_second >= 100 THEN format('{:.0f}', per_second) ELSE format('{:.3g}', per_second) END;

-- When a request came, in microseconds since the epoch; one that reached no dyno came when its line was written.
CREATE OR REPLACE MACRO began_us(ended_at, service_time_ms, connect_time_ms) AS
  epoch_us(ended_at) - 1000 * (coalesce(service_time_ms::BIGINT, 0) + coalesce(connect_time_ms, 0));

-- A client that went away (499) is no failure of the app, and neither is what it may not have (4xx).
CREATE OR REPLACE MACRO has_failed(answer, router_level) AS
  coalesce(answer >= 500, false) OR coalesce(router_level = 'error' AND answer IS DISTINCT FROM 499, false);
