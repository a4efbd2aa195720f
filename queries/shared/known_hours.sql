-- The hours of [since, until) in which the router logged requests or in which requests were in flight, and of which of
-- them `minutes` tell all: `is_known`. In the others, requests must be read. All requests that were logged in an hour
-- began in `first_hour` or later; by `date` whole files are left out.
CREATE OR REPLACE MACRO hours_between(since, until, app_name) AS TABLE
-- Of whole minutes, so that the two can be compared.
WITH kept AS MATERIALIZED (
  SELECT
    app,
    date,
    steps_since_1970(epoch_us(timestamp), 3600000000) AS hour,
    sum(requests) AS requests,
    count(has_timeout) > 0 AS has_levels -- not in minutes made by an older version
  FROM minutes_of('app', first_minute(since), last_minute_end(until) + INTERVAL 10 MINUTE, app_name)
  GROUP BY ALL
),
-- A day of which minutes have as many requests as there are rows has them in each hour: the lake only gains rows, and
-- whoever erases some makes the minutes anew. DuckDB counts the rows of days without reading them; those of hours take
-- twenty times as long.
days AS MATERIALIZED (
  SELECT date, coalesce(requests = rows, false) AS is_told
  FROM (
    SELECT date, count(*) AS rows
    FROM router
    WHERE has_part_of(date, first_minute(since), last_minute_end(until) + INTERVAL 10 MINUTE)
    GROUP BY date
  )
  LEFT JOIN (
    SELECT date, sum(requests) AS requests
    FROM minutes_of(
      'app',
      instant(utc_day(first_minute(since))),
      instant(utc_day(last_minute_end(until) + INTERVAL 10 MINUTE) + 1),
      NULL
    )
    GROUP BY date
  ) USING (date)
),
logged AS (
  SELECT app, steps_since_1970(epoch_us(timestamp), 3600000000) AS hour, count(*) AS requests
  FROM router_between(first_minute(since), last_minute_end(until) + INTERVAL 10 MINUTE, app_name)
  -- Through a list, since DuckDB takes the days for as many as requests and would read all of these.
  SEMI JOIN (SELECT unnest(list(date)) AS date FROM days WHERE NOT is_told) USING (date)
  GROUP BY ALL
  UNION ALL
  SELECT app, hour, requests FROM kept SEMI JOIN (FROM days WHERE is_told) USING (date)
),
-- What took less than half an hour by each of its two times began in the hour in which it was logged, or in the one
-- before. Of the others there are few: row groups without any are left out.
long AS (
  SELECT
    app,
    steps_since_1970(epoch_us(timestamp), 3600000000) AS hour,
    -- The times of a load balancer are rounded here.
    steps_since_1970(
      min(epoch_us(timestamp) - 1000 * (service_ms::BIGINT + coalesce(connect_ms, 0) + 3)), 3600000000
    ) AS begun_hour
  FROM router_between(first_minute(since), last_minute_end(until) + INTERVAL 10 MINUTE, app_name)
  WHERE service_ms >= 1790000 OR connect_ms >= 1790000
  GROUP BY ALL
),
-- Minutes fit where they are of as many requests as are there: the lake only gains rows, unless somebody is erased, and
-- nobody can say when those that are gone began. Minutes know of none that took more than a day. When rows are named by
-- new routes, minutes keep the old names until they are made again.
hours AS MATERIALIZED (
  SELECT
    app,
    hour,
    greatest(logged.requests, kept.requests, 0)::BIGINT AS requests,
    least(begun_hour, hour - 1, CASE WHEN kept.requests > coalesce(logged.requests, 0) THEN hour - 24 END) AS first_hour,
    coalesce(has_levels AND kept.requests = coalesce(logged.requests, 0) AND hour - first_hour <= 23, false) AS fits
  FROM logged FULL JOIN kept USING (app, hour) LEFT JOIN long USING (app, hour)
),
-- A request that minutes do not know of is missing in all hours in which it was in flight. Within the first hour the
-- window begins, and within the last one it may end.
raw_hours AS (
  SELECT app, hour, bool_and(is_edge) AS is_edge_only
  FROM (
    SELECT app, unnest(range(first_hour, hour + 1)) AS hour, false AS is_edge
    FROM hours
    WHERE NOT fits AND requests > 0
    UNION ALL
    SELECT app, steps_since_1970(edge_us, 3600000000), true
    FROM hours, (VALUES (epoch_us(instant(since)), true), (epoch_us(instant(until)), false)) AS edges (edge_us, begins)
    WHERE edge_us % 3600000000 <> 0 OR (begins AND edge_us IS NOT NULL)
  )
  GROUP BY app, hour
)
SELECT
  app,
  hour,
  DATE '1970-01-01' + steps_since_1970(hour, 24)::INTEGER AS date,
  make_timestamptz(hour * 3600000000) AS begins_at,
  make_timestamptz((hour + 1) * 3600000000) AS ends_at,
  coalesce(requests, 0) AS requests,
  coalesce(first_hour, hour) AS first_hour,
  coalesce(fits, false) AND raw_hours.hour IS NULL AS is_known,
  coalesce(fits AND is_edge_only, false) AS is_bounded
FROM hours FULL JOIN raw_hours USING (app, hour);
