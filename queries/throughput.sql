-- question: How many requests, errors and bytes went through as time went on?
-- one row per: app, step of time and kind of log
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer counted; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
--   step_seconds: Length of a step in whole seconds, from 1 to 86400; steps begin at its multiples, 60 at full UTC minutes.
-- columns:
--   app VARCHAR: The app.
--   begins_at TIMESTAMPTZ: When the step begins. Up to 60 steps in a row without a request are rows of 0; a longer stretch has no rows, because nothing tells a quiet app from a drain that was off.
--   requests BIGINT: Requests that ended in the step, whatever became of them, WebSockets too.
--   errors BIGINT: Of these, those answered with a status of 500 or more, or with an H code and no status (H24).
--   bytes_sent BIGINT: Bytes sent to clients; only the older Heroku router and application load balancers count headers too.
--   source VARCHAR: Whose log the requests are from: 'heroku', or 'elb' or 'alb' for an imported one.
-- cost: One pass over the router files of the days asked about.
-- example: SELECT * FROM throughput(since := now() - INTERVAL 1 DAY, step_seconds := 3600)
CREATE OR REPLACE MACRO throughput(since := NULL, until := NULL, app_name := NULL, step_seconds := 60) AS TABLE
WITH counted AS (
  SELECT
    app,
    source,
    steps_since_1970(epoch_us(timestamp), step_us(step_seconds)) AS step,
    count(*) AS requests,
    count(*) FILTER (WHERE status >= 500 OR (status IS NULL AND code IS NOT NULL)) AS errors,
    to_bigint(coalesce(sum(bytes), 0)) AS bytes_sent
  FROM router_between(since, until, app_name)
  GROUP BY ALL
),
followed AS MATERIALIZED (
  SELECT
    *,
    lead(step) OVER (PARTITION BY app, source ORDER BY step) AS next_step,
    CASE WHEN next_step - step <= 61 THEN next_step ELSE step + 1 END AS filled_to
  FROM counted
),
-- Each step with requests, and those that follow it without.
filled AS (
  SELECT *, unnest(range(step, filled_to)) AS filled_step
  FROM followed
  WHERE few_enough((SELECT sum(filled_to - step) FROM followed))
)
SELECT
  app,
  make_timestamptz(filled_step * step_us(step_seconds)) AS begins_at,
  CASE WHEN filled_step = step THEN requests ELSE 0 END AS requests,
  CASE WHEN filled_step = step THEN errors ELSE 0 END AS errors,
  CASE WHEN filled_step = step THEN bytes_sent ELSE 0 END AS bytes_sent,
  source
FROM filled
UNION ALL
-- error() would not be reached from a row of an empty lake; here it is reached whenever the parameter is wrong.
SELECT
  error('throughput counts in steps of 1 to 86400 whole seconds; try step_seconds := 60.'),
  NULL, NULL, NULL, NULL, NULL
WHERE coalesce(step_seconds NOT BETWEEN 1 AND 86400 OR step_seconds % 1 <> 0, true)
ORDER BY app, source, begins_at;
