-- The most requests in flight at once in [since, until), by app, dyno or route, and when: what peak_concurrency shows.
-- With `heroku_alone` those that a load balancer logged are left out. `is_timed_out` tells whether one of them was given
-- up, and its worker goes on unseen.
CREATE OR REPLACE MACRO peaks_between(since, until, app_name, counted_by, heroku_alone) AS TABLE
WITH hours AS MATERIALIZED (FROM hours_between(since, until, app_name)),
-- What minutes tell of whole hours.
known_tops AS MATERIALIZED (
  SELECT
    app,
    key,
    max({
      'peak': peak_in_flight,
      'logged': -epoch_us(peak_logged_at),
      'before': -epoch_us(peak_at),
      'is_timed_out': is_peak_timed_out
    }) AS highest
  FROM (
    SELECT *, steps_since_1970(epoch_us(timestamp), 3600000000) AS hour
    FROM minutes_of(counted_by, since, until, app_name)
    WHERE peak_at IS NOT NULL
  )
  SEMI JOIN (FROM hours WHERE is_known) USING (app, hour)
  GROUP BY app, key
),
-- Of the hours at the window's ends, those in which as many may have been in flight as in the others.
high_hours AS (
  SELECT DISTINCT at_most.app, at_most.hour
  FROM (
    SELECT minute.app, key, hour, max(peak_in_flight) AS peak
    FROM minutes_of(counted_by, first_minute(since), until, app_name) AS minute
    JOIN (SELECT unnest(list(hours), recursive := true) FROM hours WHERE is_bounded) AS bounded
      ON bounded.app = minute.app AND bounded.date = minute.date AND timestamp >= begins_at AND timestamp < ends_at
    GROUP BY ALL
  ) AS at_most
  LEFT JOIN known_tops ON known_tops.app = at_most.app AND known_tops.key IS NOT DISTINCT FROM at_most.key
  WHERE at_most.peak >= coalesce(highest.peak, 1)
),
raw_hours AS MATERIALIZED (
  SELECT app, hour FROM hours WHERE NOT is_known AND NOT is_bounded
  UNION
  FROM high_hours
),
-- What was in flight in them may be logged later; what began after the last of them was not. A list tells the planner
-- that these hours are few; else it would hold the router's rows in memory to look for them.
read_hours AS MATERIALIZED (
  SELECT unnest(list(read_hour), recursive := true)
  FROM (
    SELECT app, hours.hour, date, begins_at, ends_at, (max(raw_hours.hour) + 1) * 3600000000 AS last_us
    FROM hours JOIN raw_hours USING (app)
    WHERE raw_hours.hour BETWEEN first_hour AND hours.hour
    GROUP BY ALL
  ) AS read_hour
),
-- Read again each time, which costs less memory than the sort.
in_flight AS NOT MATERIALIZED (
  SELECT served.app, flight_key(counted_by, served.app, dyno, route) AS key, timed_out, start_us, end_us
  FROM served_between(since, until, app_name) AS served
  JOIN read_hours
    ON read_hours.app = served.app AND read_hours.date = served.date
    AND hour = steps_since_1970(epoch_us(timestamp), 3600000000)
    AND timestamp >= begins_at AND timestamp < ends_at AND start_us < last_us
  WHERE NOT heroku_alone OR source = 'heroku'
),
-- Numbers in the place of names: sorting by them takes a third of the time.
groups AS MATERIALIZED (
  SELECT app, key, row_number() OVER ()::INTEGER AS id FROM (SELECT DISTINCT app, key FROM in_flight)
),
moments AS NOT MATERIALIZED (
  SELECT id, flight_moment(is_start, start_us, end_us) AS moment, end_us
  FROM in_flight
  JOIN (SELECT unnest(list(groups), recursive := true) FROM groups) AS named
    ON named.app = in_flight.app AND named.key IS NOT DISTINCT FROM in_flight.key
  CROSS JOIN (VALUES (true), (false)) AS sides (is_start)
),
-- Starts and ends of a key add up to nothing, so a sum over all keys in order begins anew with each: one sort, where a
-- window for each key takes twice as long if there are hundreds. Around the raw hours requests are missing, so that
-- levels are too low there, but nowhere too high.
levels AS NOT MATERIALIZED (
  SELECT
    id,
    moment,
    end_us,
    sum(flight_change(moment))
      OVER (ORDER BY id, moment)::BIGINT AS level
  FROM moments
),
-- The largest level, of its arrivals the one that was logged first, of these the first: all in one pass.
swept AS (
  SELECT app, key, highest.level AS peak, -highest.logged AS logged_us, (-highest.before) >> 1 AS peak_us
  FROM (SELECT id, max({'level': level, 'logged': -end_us, 'before': -moment}) AS highest FROM levels GROUP BY id)
  JOIN groups USING (id)
),
timeouts AS (
  SELECT app, key, start_us, end_us FROM in_flight WHERE timed_out
),
peaks AS (
  SELECT app, key, max(highest) AS highest
  FROM (
    SELECT
      app,
      key,
      {
        'peak': peak,
        'logged': -logged_us,
        'before': -peak_us,
        'is_timed_out': EXISTS (
          FROM timeouts
          WHERE timeouts.app = swept.app
            AND timeouts.key IS NOT DISTINCT FROM swept.key
            AND timeouts.start_us <= peak_us
            AND timeouts.end_us > peak_us
        )
      } AS highest
    FROM swept
    UNION ALL
    SELECT app, CASE WHEN counted_by = 'app' THEN app ELSE key END, highest FROM known_tops
  )
  GROUP BY app, key
)
SELECT
  app,
  key,
  highest.peak AS peak,
  make_timestamptz(-highest.before) AS peak_at,
  highest.is_timed_out AS is_timed_out
FROM peaks;
