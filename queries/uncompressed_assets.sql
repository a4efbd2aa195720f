-- question: Which files and pages go out uncompressed, how sure is that, and what would gzip save?
-- one row per: app and path that goes out uncompressed
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer counted; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
-- columns:
--   app VARCHAR: The app.
--   path VARCHAR: The path, query string off and percent-encoding undone.
--   requests BIGINT: Uncompressed responses: GET, status 200, more than 1,400 bytes.
--   bytes_each BIGINT: Bytes of one response, the median; lines of the older router count its headers too.
--   bytes_sent BIGINT: Bytes of all of them.
--   evidence VARCHAR: 'proved' (the access log gives the encoding), 'strong' (2.5 to 6 times smaller in an imported load-balancer log) or 'likely' (one constant size only).
--   saving_low_bytes BIGINT: Bytes that compression would have saved at least, if it leaves 45 %.
--   saving_high_bytes BIGINT: Bytes that compression would have saved at most, if it leaves 16 %.
-- cost: One pass over router and access of the days asked about, and one over the load-balancer rows of all earlier days.
-- example: SELECT * FROM uncompressed_assets(since := now() - INTERVAL 1 DAY) LIMIT 20
CREATE OR REPLACE MACRO uncompressed_assets(since := NULL, until := NULL, app_name := NULL) AS TABLE
-- The extended access format: a response is a fault only if the client offered an encoding and got none.
WITH answered AS (
  SELECT
    app,
    bare_path(path) AS path,
    bytes,
    coalesce(lower(content_encoding), 'identity') <> 'identity' AS compressed,
    bytes > 1400
      AND regexp_matches(lower(accept_encoding), 'gzip|deflate|br|zstd')
      AND coalesce(compressible_type(content_type), compressible_name(bare_path(path))) AS wanted
  FROM access_between(since, until, app_name)
  WHERE request_ms IS NOT NULL AND method = 'GET' AND status = 200
),
measured AS (
  SELECT
    app,
    path,
    count(*) FILTER (WHERE wanted AND NOT compressed) AS requests,
    quantile_disc(bytes, 0.5) FILTER (WHERE wanted AND NOT compressed) AS bytes_each,
    sum(bytes) FILTER (WHERE wanted AND NOT compressed)::BIGINT AS bytes_sent
  FROM answered
  GROUP BY app, path
  HAVING bool_or(compressed) OR bool_or(wanted)
),
-- The router knows sizes only. The older one (protocol http or https) counts the headers, which differ a little.
sized AS (
  SELECT
    app,
    bare_path(path) AS path,
    count(*) AS requests,
    quantile_disc(bytes, 0.5) AS bytes_each,
    sum(bytes)::BIGINT AS bytes_sent,
    min(bytes) AS smallest,
    max(bytes) AS largest,
    count(*) FILTER (WHERE coalesce(protocol, 'http') IN ('http', 'https')) AS with_headers
  FROM router_between(since, until, app_name)
  WHERE source = 'heroku' AND method = 'GET' AND status = 200 AND code IS NULL AND bytes > 0
    AND compressible_name(bare_path(path))
  GROUP BY ALL
  HAVING min(bytes) > 1400
),
-- Before the move: the load balancer's log is older than any window asked about, so `since` does not bound it.
earlier AS (
  SELECT app, bare_path(path) AS path, quantile_disc(bytes, 0.5) AS bytes_before
  FROM router_between(NULL, until, app_name)
  WHERE source IN ('elb', 'alb') AND method = 'GET' AND status = 200 AND bytes > 0
    AND compressible_name(bare_path(path))
  GROUP BY ALL
),
graded AS (
  SELECT
    app,
    path,
    requests,
    bytes_each,
    bytes_sent,
    CASE
      WHEN smallest >= 2.5 * bytes_before AND largest <= 6 * bytes_before THEN 'strong'
      WHEN largest * 2.5 <= bytes_before THEN NULL  -- much smaller than before the move: it is compressed now
      WHEN largest - smallest <= CASE WHEN with_headers > 0 THEN 300 ELSE 0 END THEN 'likely'
    END AS evidence,
    with_headers
  FROM sized LEFT JOIN earlier USING (app, path)
),
-- A path the extended format speaks of is judged by it alone: gzip to every client also looks like one size.
judged AS (
  SELECT app, path, requests, bytes_each, bytes_sent, 'proved' AS evidence, 0 AS with_headers
  FROM measured
  WHERE requests > 0
  UNION ALL
  SELECT * FROM graded ANTI JOIN measured USING (app, path) WHERE evidence IS NOT NULL
)
-- gzip left 16 to 45 % of the text files measured. Headers, at most 1,000 bytes, are not compressed.
SELECT
  app,
  path,
  requests,
  bytes_each,
  bytes_sent,
  evidence,
  greatest(bytes_sent - 1000 * with_headers, 0) * 55 // 100 AS saving_low_bytes,
  bytes_sent * 84 // 100 AS saving_high_bytes
FROM judged
ORDER BY saving_high_bytes DESC, app, path;
