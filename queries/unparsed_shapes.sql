-- question: Which log lines did no parser know, and what do they look like?
-- one row per: app, kind of process, shape and defect, most frequent first
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer counted; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
-- columns:
--   app VARCHAR: The app.
--   process VARCHAR: The process that wrote the lines without its number, such as web or postgres; NULL for what is no log line at all.
--   shape VARCHAR: The text with what varies masked: {n} numbers, ids and hex digits, {time}, {ip}, {uuid}, {bytes}, and … in quotes; 300 characters at the most.
--   defect VARCHAR: Why it is no log line (it was damaged on the way or never was one); NULL for an ordinary line.
--   line_count BIGINT: Lines of this shape.
--   share DOUBLE: These lines by all of the app's lines that no parser knew, from 0 to 1.
--   first_at TIMESTAMPTZ: Time of the first one.
--   last_at TIMESTAMPTZ: Time of the last one.
--   example VARCHAR: The last one itself, 500 characters at the most.
-- cost: One pass over the lines of the days asked about, each masked by a dozen patterns: about 5 s a million lines.
-- example: SELECT * FROM unparsed_shapes(since := now() - INTERVAL 1 DAY) LIMIT 20
CREATE OR REPLACE MACRO unparsed_shapes(since := NULL, until := NULL, app_name := NULL) AS TABLE
WITH shaped AS (
  SELECT
    app,
    regexp_replace(process, '\.\d+$', '') AS process,
    message_shape(message) AS shape,
    defect,
    count(*) AS line_count,
    min(timestamp) AS first_at,
    max(timestamp) AS last_at,
    max({'timestamp': timestamp, 'message': left(message, 500)}).message AS example
  FROM lines_between(since, until, app_name)
  GROUP BY ALL
)
SELECT
  app,
  process,
  shape,
  defect,
  line_count,
  line_count / sum(line_count) OVER (PARTITION BY app) AS share,
  first_at,
  last_at,
  example
FROM shaped
ORDER BY line_count DESC, app, process NULLS FIRST, shape, defect NULLS FIRST;
