-- What the Postgres servers say of themselves in [since, until): `event` is 'refused' (a connection over the limit),
-- 'slow' (a statement that took `duration_ms`), 'deadlock' or 'timeout' (a statement cancelled by statement_timeout).
-- The lines name a colour, the metrics an attachment: HEROKU_POSTGRESQL_GREEN is [GREEN], DATABASE can have any colour.
-- A line goes to the attachment of its colour, else to DATABASE, else to the app's only one, else to its colour.
-- Words are looked for right behind the first level (LOG, FATAL, STATEMENT …): statements can hold the same words.
CREATE OR REPLACE MACRO postgres_log_between(since, until, app_name) AS TABLE
WITH told AS (
  SELECT
    app,
    timestamp,
    regexp_extract(message, '^ *(?:\[[0-9-]+\] +)?(?:\w+ )?\[([A-Z_]+)\]', 1) AS colour,
    regexp_extract(message, ' ([A-Z]+):  (.*)', ['level', 'words']) AS said
  FROM lines_between(since, until, app_name)
  WHERE starts_with(process, 'postgres')
    AND regexp_matches(message, ':  (?:duration|deadlock|canceling|too many|remaining|sorry)')
),
events AS (
  SELECT
    app,
    timestamp,
    colour,
    CASE
      WHEN said.level = 'FATAL'
        AND regexp_matches(said.words, '^(too many connections|remaining connection slots|sorry, too many)')
        THEN 'refused'
      WHEN said.level = 'LOG' AND starts_with(said.words, 'duration: ') THEN 'slow'
      WHEN said.level = 'ERROR' AND starts_with(said.words, 'deadlock detected') THEN 'deadlock'
      WHEN said.level = 'ERROR' AND starts_with(said.words, 'canceling statement due to statement timeout')
        THEN 'timeout'
    END AS event,
    TRY_CAST(regexp_extract(said.words, '^duration: ([0-9.]+) ms', 1) AS DOUBLE) AS duration_ms
  FROM told
),
attachments AS (
  SELECT app, list(DISTINCT source) AS sources
  FROM samples_between(since, until, app_name)
  WHERE kind = 'postgres'
  GROUP BY app
)
SELECT
  app,
  CASE
    WHEN list_contains(sources, 'HEROKU_POSTGRESQL_' || colour) THEN 'HEROKU_POSTGRESQL_' || colour
    WHEN list_contains(sources, 'DATABASE') THEN 'DATABASE'
    WHEN len(sources) = 1 THEN sources[1]
    ELSE nullif(colour, '')
  END AS source,
  timestamp,
  event,
  duration_ms
FROM events
LEFT JOIN attachments USING (app)
WHERE event IS NOT NULL;
