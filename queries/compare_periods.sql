-- question: What became slower, faster or less reliable than in an earlier period?
-- one row per: app, method and route in either period; and, first, one per app for all its routes
-- parameters:
--   since: First instant of the period asked about (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is 24 hours before its end.
--   until: First instant no longer in it; NULL is now.
--   app_name: The app asked about; NULL is all apps.
--   before_since: First instant of the earlier period; NULL is the same hours a week before (as many weeks as the period needs), or, for an app with less than half as many requests there, the time just before.
--   before_until: First instant no longer in the earlier period; NULL makes both periods equally long.
--   at_least: Requests that a route needs in each period to be compared, 10 or more.
-- columns:
--   app VARCHAR: The app.
--   method VARCHAR: The HTTP method; NULL in the row for all routes.
--   route VARCHAR: The path with its variable parts named; NULL when the line had no path; 'all routes' in the row for all routes that are compared, with the earlier period weighted to the later one's mix of routes.
--   verdict VARCHAR: The time that half of the requests took at most, in words: 'slower' or 'faster' if the 99 % interval of the difference lies wholly on one side and off 1 ms, which may be rounding; else 'no difference shown', 'too few requests', 'new' or 'gone' (requests in one period only), or 'nothing to compare with'.
--   p95_verdict VARCHAR: The same for the time that 95 % took at most: the slow requests.
--   errors_verdict VARCHAR: The share of errors in words: 'more errors' or 'fewer errors' all through the period, 'more errors at times' if only some stretches had them, 'no difference shown' or 'too few requests'.
--   requests_before BIGINT: Requests of the earlier period at Heroku's router; migration_diff compares with a load balancer's.
--   requests_after BIGINT: Requests of the period asked about.
--   p50_before_ms INTEGER: Half of the earlier period's requests took at most this; NULL where speed is not compared; WebSockets and requests that reached no dyno are left out.
--   p50_after_ms INTEGER: The same in the period asked about.
--   p50_low_ms DOUBLE: The difference, later minus earlier, is at least this (99 % interval); NULL if there are too few requests to bound it.
--   p50_high_ms DOUBLE: The difference is at most this; NULL if there are too few requests to bound it.
--   p95_before_ms INTEGER: 95 % of the earlier period's requests took at most this.
--   p95_after_ms INTEGER: The same in the period asked about.
--   p95_low_ms DOUBLE: The difference of these two is at least this (99 % interval); NULL if there are too few requests to bound it.
--   p95_high_ms DOUBLE: The difference of these two is at most this; NULL if there are too few requests to bound it.
--   error_before_share DOUBLE: Requests answered with a status of 500 or more, or never, by requests of the earlier period, from 0 to 1.
--   error_after_share DOUBLE: The same in the period asked about.
--   response_before_bytes BIGINT: Mean bytes of a response in the earlier period; lines of the older router count its headers too.
--   response_after_bytes BIGINT: The same in the period asked about.
--   before_at TIMESTAMPTZ: Where the earlier period begins that the app is compared with; NULL if it has no requests there.
-- cost: Two passes and one over times alone, over the router files of both periods; without before_since over both candidates for the earlier one.
-- example: SELECT * FROM compare_periods(since := now() - INTERVAL 12 HOUR) WHERE verdict <> 'too few requests'
CREATE OR REPLACE MACRO compare_periods(
  since := NULL, until := NULL, app_name := NULL, before_since := NULL, before_until := NULL, at_least := 100
) AS TABLE
WITH compared AS (
  SELECT
    *,
    CASE
      WHEN earlier IS NULL THEN 'nothing to compare with'
      WHEN requests_before = 0 AND requests_after >= at_least THEN 'new'
      WHEN requests_after = 0 AND requests_before >= at_least THEN 'gone'
      ELSE speed_words(p50_low_ms, p50_high_ms)
    END AS verdict,
    speed_words(p95_low_ms, p95_high_ms) AS p95_verdict
  FROM compared_routes_of_periods(or_a_day(since, until), until, app_name, before_since, before_until, at_least)
),
-- error() would not be reached from a row of an empty lake; a row of its own reaches it.
refused AS (
  SELECT error('before_until needs the beginning of the earlier period beside it; try before_since := ''2026-11-23T10:00'' too.')
    AS app
  WHERE before_since IS NULL AND before_until IS NOT NULL
  UNION ALL
  SELECT error('The earlier period must end before the later one begins; try an earlier before_since or before_until.')
  WHERE instant(before_since) >= or_a_day(since, until) OR instant(before_until) > or_a_day(since, until)
  UNION ALL
  SELECT error('Fewer than 10 requests say nothing about a route; try at_least := 100.')
  WHERE coalesce(at_least < 10, true)
)
SELECT
  app,
  method,
  route,
  verdict,
  p95_verdict,
  errors_verdict,
  requests_before,
  requests_after,
  p50_before_ms,
  p50_after_ms,
  p50_low_ms,
  p50_high_ms,
  p95_before_ms,
  p95_after_ms,
  p95_low_ms,
  p95_high_ms,
  round(failed_share_before, 6) AS error_before_share,
  round(failed_share_after, 6) AS error_after_share,
  to_bigint(round(bytes_before)) AS response_before_bytes,
  to_bigint(round(bytes_after)) AS response_after_bytes,
  CASE earlier
    WHEN 'given' THEN instant(before_since)
    WHEN 'weeks' THEN weeks_before(or_a_day(since, until), or_a_day(since, until), until)
    WHEN 'just' THEN or_a_day(since, until) - to_microseconds(period_us(or_a_day(since, until), until))
  END AS before_at
FROM (FROM compared UNION ALL BY NAME FROM refused)
ORDER BY
  app,
  whole DESC,
  -- What got worse, what got better, what came or went, the rest; in each first what weighs most.
  CASE
    WHEN 'slower' IN (verdict, p95_verdict) OR errors_verdict LIKE 'more%' THEN 1
    WHEN 'faster' IN (verdict, p95_verdict) OR errors_verdict LIKE 'fewer%' THEN 2
    WHEN verdict IN ('new', 'gone') THEN 3
    WHEN 'no difference shown' IN (verdict, p95_verdict, errors_verdict) THEN 4
    ELSE 5
  END,
  coalesce(abs(p50_after_ms - p50_before_ms), 0) * requests_after DESC,
  requests_before + requests_after DESC,
  route,
  method;
