-- question: How many requests were in flight at once as time went on?
-- one row per: app, or dyno or route of an app, and step of time
-- parameters:
--   since: First instant looked at (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer looked at; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
--   per: What to count by: 'app', 'dyno' or 'route'.
--   step_seconds: Length of a step in whole seconds, from 1 to 86400; steps begin at its multiples, 60 at full UTC minutes.
-- columns:
--   app VARCHAR: The app.
--   key VARCHAR: The app, dyno or route counted by; NULL where a line names no dyno or no path.
--   begins_at TIMESTAMPTZ: When the step begins. Up to 60 steps in a row without a request are rows of 0; a longer stretch has no rows, because nothing tells a quiet app from a drain that was off.
--   peak BIGINT: Most requests in flight at one instant of the step, those that began before it too; counted as in peak_concurrency.
--   peak_at TIMESTAMPTZ: The first instant of the step with so many in flight; NULL where the peak is 0.
--   mean DOUBLE: Requests in flight on average over the part of the step that lies in the window.
--   arrivals BIGINT: Requests that began in the step and reached a dyno, WebSockets left out.
--   websockets BIGINT: WebSockets (status 101) that ended in the step; they are in no other figure.
--   unreached BIGINT: Requests that ended in the step without having reached a dyno; they are in no other figure.
--   is_lower_bound BOOLEAN: True when an H12 (at a load balancer a 504) was in flight in the step, whose worker goes on unseen, or lines of the app were lost in it.
-- cost: Sorts one start and one end for each request of the window, and of the 10 minutes after it; a second pass counts what is left out.
-- example: SELECT begins_at, peak, mean FROM concurrency_over_time(since := now() - INTERVAL 1 DAY, step_seconds := 300)
CREATE OR REPLACE MACRO concurrency_over_time(
  since := NULL,
  until := NULL,
  app_name := NULL,
  per := 'app',
  step_seconds := 60
) AS TABLE
WITH bounds AS MATERIALIZED (
  SELECT
    step_us(step_seconds) AS width,
    epoch_us(instant(since)) AS since_us,
    epoch_us(instant(until)) AS until_us
),
-- As in peak_concurrency: read again rather than materialized.
in_window AS NOT MATERIALIZED (
  SELECT
    app,
    flight_key(per, app, dyno, route) AS key,
    timed_out,
    start_us = logged_start_us AS arrived,
    start_us,
    least(end_us, coalesce(epoch_us(instant(until)), end_us)) AS end_us
  FROM served_between(since, until, app_name)
),
left_out AS MATERIALIZED (
  SELECT
    app,
    flight_key(per, app, dyno, route) AS key,
    steps_since_1970(epoch_us(timestamp), step_us(step_seconds)) AS step,
    count(*) FILTER (WHERE status = 101) AS websockets,
    count(*) FILTER (WHERE status IS DISTINCT FROM 101) AS unreached
  FROM router_between(since, until, app_name)
  WHERE status = 101 OR dyno IS NULL OR service_ms IS NULL
  GROUP BY ALL
),
-- Numbers in the place of names: sorting by them takes a third of the time.
groups AS MATERIALIZED (
  SELECT app, key, row_number() OVER ()::INTEGER AS id
  FROM (SELECT app, key FROM in_window UNION SELECT app, key FROM left_out)
),
moments AS NOT MATERIALIZED (
  SELECT
    id,
    flight_moment(is_start, start_us, end_us) AS moment,
    timed_out,
    arrived AND is_start AS arrived
  FROM in_window
  JOIN (SELECT unnest(list(groups), recursive := true) FROM groups) AS named
    ON named.app = in_window.app AND named.key IS NOT DISTINCT FROM in_window.key
  CROSS JOIN (VALUES (true), (false)) AS sides (is_start)
),
-- Starts and ends of a key add up to nothing, so a sum over all keys in order begins anew with each: one sort, where a
-- window for each step takes three times as long. An end belongs to the step of the microsecond before it, so that none is
-- carried into a step which it does not reach.
levels AS NOT MATERIALIZED (
  SELECT
    id,
    moment,
    steps_since_1970((moment - 1) >> 1, step_us(step_seconds)) AS step,
    flight_change(moment) AS change,
    timed_out,
    arrived,
    sum(flight_change(moment))
      OVER (ORDER BY id, moment ROWS UNBOUNDED PRECEDING)::BIGINT AS level
  FROM moments
),
-- `held_us` is what the changes add to the time in flight until the end of the step.
changes AS (
  SELECT
    id,
    step,
    sum(change)::BIGINT AS net,
    sum(change * (least((step + 1) * width, coalesce(until_us, (step + 1) * width)) - (moment >> 1)))::BIGINT AS held_us,
    max({'level': level, 'before': -moment}) FILTER (WHERE change = 1) AS highest,
    count(*) FILTER (WHERE arrived) AS arrivals,
    sum_where(change, timed_out) AS timeouts_net,
    count(*) FILTER (WHERE timed_out AND change = 1) AS timeouts_begun
  FROM levels, bounds
  GROUP BY id, step
),
busy AS (
  SELECT
    id,
    app,
    key,
    step,
    coalesce(net, 0) AS net,
    coalesce(held_us, 0) AS held_us,
    highest,
    coalesce(arrivals, 0) AS arrivals,
    coalesce(timeouts_net, 0) AS timeouts_net,
    coalesce(timeouts_begun, 0) AS timeouts_begun,
    coalesce(websockets, 0) AS websockets,
    coalesce(unreached, 0) AS unreached
  FROM changes
  FULL JOIN (
    SELECT id, step, websockets, unreached
    FROM left_out
    JOIN groups ON groups.app = left_out.app AND groups.key IS NOT DISTINCT FROM left_out.key
  ) USING (id, step)
  JOIN groups USING (id)
),
carried AS MATERIALIZED (
  SELECT
    *,
    sum(net) OVER before_it::BIGINT - net AS carried_in,
    sum(timeouts_net) OVER before_it::BIGINT - timeouts_net AS timeouts_in,
    CASE
      WHEN carried_in + net > 0 OR lead(step) OVER before_it - step <= 61 THEN lead(step) OVER before_it
      ELSE step + 1
    END AS filled_to
  FROM busy
  WINDOW before_it AS (PARTITION BY id ORDER BY step)
),
-- Each step in which something changed, and those that follow it unchanged.
filled AS (
  SELECT
    *,
    unnest(range(step, filled_to)) AS filled_step
  FROM carried
  WHERE few_enough((SELECT sum(filled_to - step) FROM carried))
),
answers AS (
  SELECT
    app,
    key,
    filled_step,
    greatest(filled_step * width, coalesce(since_us, filled_step * width)) AS begin_us,
    least((filled_step + 1) * width, coalesce(until_us, (filled_step + 1) * width)) AS finish_us,
    filled_step = step AS is_own,
    CASE WHEN is_own THEN carried_in ELSE carried_in + net END AS level_in,
    CASE WHEN is_own THEN greatest(level_in, highest.level) ELSE level_in END AS peak,
    (-highest.before) >> 1 AS peak_us,
    CASE WHEN is_own THEN held_us ELSE 0 END AS held_us,
    CASE WHEN is_own THEN arrivals ELSE 0 END AS arrivals,
    CASE WHEN is_own THEN websockets ELSE 0 END AS websockets,
    CASE WHEN is_own THEN unreached ELSE 0 END AS unreached,
    CASE WHEN is_own THEN timeouts_in + timeouts_begun ELSE timeouts_in + timeouts_net END > 0 AS has_timeout
  FROM filled, bounds
),
losses AS (
  FROM losses_between(since, until, app_name)
)
SELECT
  app,
  key,
  make_timestamptz(filled_step * step_us(step_seconds)) AS begins_at,
  peak,
  CASE WHEN peak > 0 THEN make_timestamptz(CASE WHEN level_in = peak THEN begin_us ELSE peak_us END) END AS peak_at,
  (level_in * (finish_us - begin_us) + held_us) / (finish_us - begin_us) AS mean,
  arrivals,
  websockets,
  unreached,
  has_timeout OR EXISTS (
    FROM losses
    WHERE losses.app = answers.app AND losses.from_us < answers.finish_us AND losses.to_us >= answers.begin_us
  ) AS is_lower_bound
FROM answers
UNION ALL
-- error() would not be reached from a row of an empty lake; here it is reached whenever a parameter is wrong.
SELECT
  error('concurrency_over_time counts per ''app'', ''dyno'' or ''route'', in steps of 1 to 86400 whole seconds; try per := ''dyno'', step_seconds := 60.'),
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE coalesce(
  per NOT IN ('app', 'dyno', 'route') OR step_seconds NOT BETWEEN 1 AND 86400 OR step_seconds % 1 <> 0,
  true
)
ORDER BY app, key, begins_at;
