-- The lives of dynos in [since, until): each from the start of its process to the first sign of its end, by Heroku's
-- lines. `life` numbers a dyno's lives in the window; life 0 is the one that was running before the first line seen and
-- has no `started_at`. `ended_at` is NULL while it goes on. A dyno without a line about its start or end has no row.
--
-- `began` is 'start' (the process was started), 'up' (only the change to up was seen, some seconds later) or NULL
-- (before the window). `ended` is 'cycle' (the daily restart), 'crash', 'down' (idled or scaled down), 'complete' (a
-- one-off dyno), 'restart' (stopped for any other reason), 'exit' (nothing but the process's own exit was seen) or
-- 'unseen' (the next life began: `ended_at` is that moment, the end was before it); NULL while it goes on.
CREATE OR REPLACE MACRO dyno_lives(since, until, app_name) AS TABLE
WITH events AS (
  SELECT
    app,
    dyno,
    timestamp,
    exit_status,
    CASE
      WHEN event = 'start' THEN 'start'
      WHEN event = 'state' AND to_state = 'up' THEN 'up'
      WHEN event = 'exit' THEN 'exit'
      WHEN event = 'cycle' THEN 'cycle'
      WHEN event = 'state' AND to_state = 'crashed' THEN 'crash'
      WHEN event = 'state' AND to_state = 'complete' THEN 'complete'
      WHEN event = 'state' AND to_state = 'down' THEN 'down'
      WHEN event = 'stop' OR (event = 'state' AND from_state = 'up') THEN 'restart'
    END AS sign
  FROM platform_between(since, until, app_name)
  WHERE dyno IS NOT NULL AND event IN ('start', 'state', 'exit', 'cycle', 'stop')
),
-- Signs of one instant in the order in which Heroku writes them: what ends before what begins.
ordered AS (
  SELECT
    *,
    list_position(['cycle', 'crash', 'complete', 'down', 'restart', 'exit', 'start', 'up'], sign) AS place
  FROM events
  WHERE sign IS NOT NULL
),
-- Lines can come twice within milliseconds, and an old process can exit after the new one was started.
beginnings AS (
  SELECT
    *,
    CASE
      WHEN sign = 'start' THEN before IS NULL OR before.sign <> 'start' OR timestamp > before.at + INTERVAL 10 SECOND
      WHEN sign = 'up' THEN before IS NULL OR before.sign NOT IN ('start', 'up')
      ELSE false
    END AS begins
  FROM (
    SELECT
      *,
      last_value(CASE WHEN sign <> 'exit' THEN {'sign': sign, 'at': timestamp} END IGNORE NULLS)
        OVER (PARTITION BY app, dyno ORDER BY timestamp, place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM ordered
  )
),
numbered AS (
  SELECT
    *,
    count(*) FILTER (WHERE begins)
      OVER (PARTITION BY app, dyno ORDER BY timestamp, place ROWS UNBOUNDED PRECEDING) AS life
  FROM beginnings
),
gathered AS (
  SELECT
    app,
    dyno,
    life,
    min(timestamp) FILTER (WHERE begins) AS started_at,
    min(timestamp) FILTER (WHERE sign = 'up') AS up_at,
    arg_min(sign, (timestamp, place)) FILTER (WHERE begins) AS began,
    min(timestamp) FILTER (WHERE sign NOT IN ('start', 'up', 'exit')) AS told_at,
    list(DISTINCT sign) AS signs,
    list({'at': timestamp, 'status': exit_status} ORDER BY timestamp) FILTER (WHERE sign = 'exit') AS exits
  FROM numbered
  GROUP BY app, dyno, life
),
-- An exit between start and up is that of the life before, if this one was told to end and no exit of it was seen.
settled AS (
  SELECT
    * EXCLUDE (exits),
    lead(started_at) OVER following AS next_at,
    CASE WHEN late_exit THEN exits[2] ELSE exits[1] END AS own_exit
  FROM (
    SELECT
      *,
      coalesce(
        lag(told_at IS NOT NULL AND exits IS NULL) OVER earlier
          AND exits[1].at < coalesce(up_at, told_at, 'infinity'::TIMESTAMPTZ),
        false
      ) AS late_exit
    FROM gathered
    WINDOW earlier AS (PARTITION BY app, dyno ORDER BY life)
  )
  WINDOW following AS (PARTITION BY app, dyno ORDER BY life)
)
SELECT
  app,
  dyno,
  life,
  started_at,
  up_at,
  coalesce(least(told_at, own_exit.at), next_at) AS ended_at,
  began,
  CASE
    WHEN told_at IS NULL AND own_exit IS NULL THEN CASE WHEN next_at IS NOT NULL THEN 'unseen' END
    WHEN 'crash' IN signs THEN 'crash'
    WHEN 'cycle' IN signs THEN 'cycle'
    WHEN 'complete' IN signs THEN 'complete'
    WHEN 'down' IN signs THEN 'down'
    WHEN told_at IS NULL THEN 'exit'
    ELSE 'restart'
  END AS ended,
  own_exit.status AS exit_status
FROM settled;
