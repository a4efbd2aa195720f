-- question: What share of the log lines did drainlake see, hour by hour, and what became of them?
-- one row per: app and hour in which lines came in or Heroku reported a loss
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer counted; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
-- columns:
--   app VARCHAR: The app.
--   hour TIMESTAMPTZ: Start of the UTC hour; a delivery counts in the hour of its last line, a loss in that of its notice.
--   received BIGINT: Lines in the deliveries: frames and runs of bytes that are no frame.
--   parsed BIGINT: Of these, lines that a parser recognised.
--   plain BIGINT: Of these, ordinary lines without a parser, kept in `lines`.
--   defective BIGINT: Of these, what is no frame, kept in `lines` with its defect.
--   repeated BIGINT: Of these, lines an earlier try had brought already, not stored again.
--   dropped BIGINT: Lines that Heroku reports as lost on the way (L10 and kin); they are not in `received`. Where several tries of a delivery tell of one loss, the largest count of the hour.
--   share_seen DOUBLE: New lines received by new lines received and dropped, from 0 to 1; NULL when there were none.
-- cost: One pass over the ledger and the platform files of the days asked about; both are small.
-- example: SELECT * FROM coverage(since := now() - INTERVAL 1 DAY) WHERE share_seen < 0.995
CREATE OR REPLACE MACRO coverage(since := NULL, until := NULL, app_name := NULL) AS TABLE
WITH ledger AS (
  SELECT
    app,
    utc_hour(timestamp) AS hour,
    coalesce(sum(lines), 0)::BIGINT AS received,
    coalesce(sum(parsed), 0)::BIGINT AS parsed,
    coalesce(sum(defects), 0)::BIGINT AS defective,
    coalesce(sum(repeated), 0)::BIGINT AS repeated
  FROM deliveries_between(since, until, app_name)
  GROUP BY ALL
),
-- Logplex tells a loss anew with each try of a delivery, and the count may have grown: "15 messages dropped since" an
-- instant has the 12 in it that were told before. By the hour, so that no window changes an hour's figure. What no app
-- can lose counts as a million million: more would make sums overflow, and one line would stop every answer.
notices AS (
  SELECT
    app,
    utc_hour(timestamp) AS hour,
    code || ' ' || lost_since(message) AS loss,
    least(lines_dropped, 1000000000000) AS told
  FROM platform_between(since, until, app_name)
  WHERE lines_dropped > 0
),
losses AS (
  SELECT app, hour, to_bigint(sum(dropped)) AS dropped
  FROM (
    SELECT app, hour, CASE WHEN loss IS NULL THEN sum(told) ELSE max(told) END AS dropped
    FROM notices
    GROUP BY app, hour, loss
  )
  GROUP BY ALL
),
hours AS (
  SELECT
    app,
    hour,
    coalesce(received, 0) AS received,
    coalesce(parsed, 0) AS parsed,
    coalesce(defective, 0) AS defective,
    coalesce(repeated, 0) AS repeated,
    coalesce(dropped, 0) AS dropped
  FROM ledger FULL JOIN losses USING (app, hour)
)
SELECT
  app,
  hour,
  received,
  parsed,
  received - parsed - defective - repeated AS plain,
  defective,
  repeated,
  dropped,
  (received - repeated) / nullif(received - repeated + dropped, 0) AS share_seen
FROM hours
ORDER BY app, hour;
