-- question: How many requests failed or were slow, step by step, of those that an error budget counts?
-- one row per: app and step of time of which the log was there for a minute
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is 30 days before the end.
--   until: End of the last step, cut to the full minute; NULL is the end of the newest minute.
--   app_name: The app asked about; NULL is all apps.
--   route_name: Only the requests of this route; NULL is all requests of the app.
--   latency_ms: Service time in milliseconds above which a request is slow, from 1 to 29000.
--   step_minutes: Length of a step in whole minutes, from 1 to 1440; steps are counted back from the end.
-- columns:
--   app VARCHAR: The app.
--   begins_at TIMESTAMPTZ: When the step begins.
--   covered_minutes BIGINT: Minutes of the step of which the log was there, also if it lost lines; all other columns are of these.
--   requests BIGINT: Requests that ended in them.
--   failed BIGINT: Of these, status 500 and above or an H code, but for H27 and H28, which the client makes.
--   timed BIGINT: Requests that a dyno served, WebSockets left out: those whose service time counts.
--   slow BIGINT: Of these, those slower than the limit, counted as in `burn_rates`.
-- cost: The minutes of apps in 30 days; no pass over requests. Without `until` all days are looked at.
-- example: SELECT *, failed / nullif(requests, 0) AS share FROM burn_history(until := now(), step_minutes := 1440)
CREATE OR REPLACE MACRO burn_history(
  since := NULL, until := NULL, app_name := NULL, route_name := NULL, latency_ms := 1000, step_minutes := 60
) AS TABLE
SELECT
  app,
  make_timestamptz((end_minute(until) - (1 + (end_minute(until) - 1 - minute) // step_minutes) * step_minutes) * 60000000)
    AS begins_at,
  count(*) AS covered_minutes,
  sum(requests)::BIGINT AS requests,
  sum(failed)::BIGINT AS failed,
  sum(timed)::BIGINT AS timed,
  sum(slow)::BIGINT AS slow
FROM objective_minutes(
  greatest(instant(since), first_minute(until) - INTERVAL 720 HOUR), until, app_name, route_name, latency_ms
)
WHERE end_minute(until) - minute BETWEEN 1 AND 43200
GROUP BY ALL
UNION ALL
-- In a row of the answer the refusals would not be reached on an empty lake.
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE NOT is_countable(latency_ms)
UNION ALL
SELECT error('burn_history counts in steps of 1 to 1440 whole minutes; try step_minutes := 60.'), NULL, NULL, NULL, NULL, NULL, NULL
WHERE coalesce(step_minutes NOT BETWEEN 1 AND 1440 OR step_minutes % 1 <> 0, true)
ORDER BY app, begins_at;
