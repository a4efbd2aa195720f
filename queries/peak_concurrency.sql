-- question: How many requests really ran at once at the most, and when?
-- one row per: app, or dyno or route of an app, that served a request
-- parameters:
--   since: First instant looked at (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
--   per: What to count by: 'app', 'dyno' or 'route'.
-- columns:
--   app VARCHAR: The app.
--   key VARCHAR: The app, dyno or route counted by; a route is NULL when the line had no path.
--   peak BIGINT: Most requests in flight at one instant. A request is in flight from its line's time less service and connect time up to that time, at least 1 microsecond; WebSockets and requests that reached no dyno are left out; requests of an imported load-balancer log count too.
--   peak_at TIMESTAMPTZ: An instant at which so many were in flight; of several, the one whose last arrival was the first to be logged.
--   is_lower_bound BOOLEAN: True when an H12 (at a load balancer a 504) was in flight at that instant, whose worker goes on unseen, or lines of the app were lost in the window.
-- cost: Counts starts and ends by spans of time, and sorts those about the peaks alone; three passes over the router files of the window and of the 10 minutes after it, two of them over the days of peaks alone.
-- example: SELECT * FROM peak_concurrency(since := now() - INTERVAL 1 DAY, per := 'dyno')
CREATE OR REPLACE MACRO peak_concurrency(since := NULL, until := NULL, app_name := NULL, per := 'app') AS TABLE
-- All starts and ends in order would be the plain way, and sorting them the cost. Instead they are counted by spans of
-- time first ("cells", four of them to a "block"). So many are in flight in a cell at most as were when it began and as
-- began in it; and at least as many as reach from one cell into the next are. Only blocks of which a cell can have as
-- many as the most of these are swept. A cell's width decides what that costs, never what is answered.
--
-- The CTEs that hold a row per request are read again rather than materialized, which would cost more memory than the
-- sort.
WITH in_window AS NOT MATERIALIZED (
  SELECT
    app,
    flight_key(per, app, dyno, route) AS key,
    timed_out,
    start_us,
    end_us,
    date
  FROM served_between(since, until, app_name)
),
-- Cells of 2^width microseconds in which few requests begin, more of them where more are in flight on average. One day
-- tells how many; for what was not there on that day it is eight seconds.
widths AS MATERIALIZED (
  SELECT
    app,
    key,
    least(
      greatest(ceil(log2(CASE per WHEN 'app' THEN 2 ELSE 1 END * span_us * (1 + sqrt(worked_us / span_us)) / requests)), 10),
      34
    )::INTEGER AS width
  FROM (
    SELECT
      app,
      flight_key(per, app, dyno, route) AS key,
      count(*) AS requests,
      1000 * sum(greatest(service_ms, 0)) AS worked_us,
      1 + epoch_us(max(max(timestamp)) OVER ()) - epoch_us(min(min(timestamp)) OVER ()) AS span_us
    FROM router_between(since, until, app_name)
    WHERE service_ms IS NOT NULL
      AND date = coalesce(
        greatest(utc_day(instant(until) - INTERVAL 1 DAY), utc_day(instant(since))),
        utc_day(now() - INTERVAL 1 DAY)
      )
    GROUP BY ALL
  )
  ORDER BY requests DESC
  LIMIT 10000 -- which tells the planner, too, that these are few
),
placed AS NOT MATERIALIZED (
  SELECT
    found.app,
    found.key,
    coalesce(width, 23) AS width,
    start_us,
    end_us,
    date,
    start_us >> coalesce(width, 23) AS first_cell,
    (end_us - 1) >> coalesce(width, 23) AS last_cell
  FROM in_window AS found
  LEFT JOIN widths ON widths.app = found.app AND widths.key IS NOT DISTINCT FROM found.key
),
-- Requests by the block in which they begin and how many blocks further they end. Numbers per cell are packed into one
-- of 16 bits each.
spans AS MATERIALIZED (
  SELECT
    app,
    key,
    width,
    first_cell >> 2 AS block,
    (last_cell >> 2) - (first_cell >> 2) AS further,
    count(*) AS requests,
    sum(1::BIGINT << (16 * (first_cell & 3))) AS begun,
    sum(1::BIGINT << (16 * (last_cell & 3))) AS ended
  FROM placed
  GROUP BY ALL
),
-- Numbers in the place of names: sorting by them takes a third of the time.
groups AS MATERIALIZED (
  SELECT *, row_number() OVER () AS id FROM (SELECT DISTINCT app, key, width FROM spans)
),
changes AS (
  SELECT
    id,
    block,
    sum(arrivals)::BIGINT AS arrivals,
    sum(arrivals - departures)::BIGINT AS net,
    -- What does not fit into 16 bits would be counted in the next cell.
    CASE WHEN sum(arrivals) < 32768 THEN sum(begun)::BIGINT END AS begun,
    CASE WHEN sum(departures) < 32768 THEN sum(ended)::BIGINT END AS ended
  FROM (
    SELECT app, key, block, requests AS arrivals, 0 AS departures, begun, 0 AS ended FROM spans
    UNION ALL
    SELECT app, key, block + further, 0, requests, 0, ended FROM spans
  ) AS counted
  JOIN groups ON groups.app = counted.app AND groups.key IS NOT DISTINCT FROM counted.key
  GROUP BY id, block
),
levels AS (
  SELECT
    *,
    sum(net) OVER (PARTITION BY id ORDER BY block)::BIGINT - net AS level_in,
    level_in + (begun & 65535) AS most0,
    most0 - (ended & 65535) AS after0,
    after0 + (begun >> 16 & 65535) AS most1,
    most1 - (ended >> 16 & 65535) AS after1,
    after1 + (begun >> 32 & 65535) AS most2,
    most2 - (ended >> 32 & 65535) AS after2,
    after2 + (begun >> 48) AS most3
  FROM changes
),
bounded AS MATERIALIZED (
  SELECT
    id,
    block,
    level_in,
    arrivals,
    greatest(level_in, after0, after1, after2, level_in + net) AS least_there,
    CASE WHEN most3 IS NULL THEN level_in + arrivals ELSE greatest(most0, most1, most2, most3) END AS most_there
  FROM levels
),
swept AS MATERIALIZED (
  SELECT app, key, width, block, level_in
  FROM bounded
  JOIN (SELECT id, max(least_there) AS bar FROM bounded GROUP BY id) USING (id)
  JOIN groups USING (id)
  WHERE arrivals > 0 AND most_there >= bar
),
-- The days in whose files the requests of these blocks are: a line is of the day on which its request ends.
days AS MATERIALIZED (
  SELECT DISTINCT unnest(range(
    -- A day more, since before 1970 a division does not round down.
    block * (4::BIGINT << width) // 86400000000 - 1,
    ((block + 1) * (4::BIGINT << width) + longest_us) // 86400000000 + 1
  )) AS day
  FROM swept, (SELECT max((further + 1) * (4::BIGINT << width)) AS longest_us FROM spans)
),
near AS NOT MATERIALIZED (
  SELECT * FROM placed WHERE date IN (SELECT DATE '1970-01-01' + day::INTEGER FROM days)
),
-- Twice the microseconds, and one more for a start: in this order requests end before others start at a tie.
peaks AS (
  SELECT app, key, highest.level AS peak, (-highest.before) >> 1 AS peak_us
  FROM (
    -- The largest level, of its arrivals the one that was logged first, of these the first: all in one pass.
    SELECT app, key, max({'level': level, 'logged': -end_us, 'before': -moment}) AS highest
    FROM (
      SELECT
        app,
        key,
        end_us,
        moment,
        level_in + sum(CASE WHEN moment % 2 <> 0 THEN 1 ELSE -1 END) OVER (PARTITION BY app, key, block ORDER BY moment)::BIGINT AS level
      FROM (
        SELECT swept.*, end_us, 2 * start_us + 1 AS moment
        FROM near JOIN swept
          ON swept.app = near.app AND swept.key IS NOT DISTINCT FROM near.key AND block = first_cell >> 2
        UNION ALL
        SELECT swept.*, end_us, 2 * end_us
        FROM near JOIN swept
          ON swept.app = near.app AND swept.key IS NOT DISTINCT FROM near.key AND block = last_cell >> 2
      )
    )
    GROUP BY app, key
  )
),
timeouts AS (
  SELECT app, key, start_us, end_us
  FROM in_window
  WHERE timed_out AND date IN (SELECT DATE '1970-01-01' + day::INTEGER FROM days)
),
losses AS (
  SELECT DISTINCT app FROM platform_between(since, until, app_name) WHERE lines_dropped > 0
)
SELECT
  app,
  key,
  peak,
  make_timestamptz(peak_us) AS peak_at,
  EXISTS (FROM losses WHERE losses.app = peaks.app)
    OR EXISTS (
      FROM timeouts
      WHERE timeouts.app = peaks.app
        AND timeouts.key IS NOT DISTINCT FROM peaks.key
        AND timeouts.start_us <= peak_us
        AND timeouts.end_us > peak_us
    ) AS is_lower_bound
FROM peaks
UNION ALL
-- error() would not be reached from a row of an empty lake; here it is reached whenever `per` is none of the three.
SELECT error('peak_concurrency counts per ''app'', ''dyno'' or ''route''; try per := ''dyno''.'), NULL, NULL, NULL, NULL
WHERE coalesce(per NOT IN ('app', 'dyno', 'route'), true)
ORDER BY app, peak DESC, key;
