-- question: Which files and pages go out uncompressed, how sure is that, and what would gzip save?
-- one row per: app and path that went out uncompressed, those first that would save most
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer counted; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
--   mbit_per_second: A visitor's bandwidth in megabits a second, from which the seconds are computed.
--   site_files: The site's own files, as JSON or a list of structs (path, plain_bytes, compressed_bytes); --assets DIR on the command line fills it in; NULL is none.
--   probed: What the site answered when asked, as JSON or a list of structs (path, answer, plain_bytes, compressed_bytes); --probe URL on the command line fills it in; NULL is not asked.
--   look_back_days: Days before that of `since` (UTC) from which on the smaller sizes of a time with compression are looked for, 0 to 30; 0 is not at all.
--   balancer_since: First instant of the load balancer's log that sizes are compared with (up to `until`); NULL is its beginning.
-- columns:
--   app VARCHAR: The app.
--   path VARCHAR: The path, query string off and percent-encoding undone.
--   requests BIGINT: Uncompressed responses: GET, status 200, more than 1,400 bytes.
--   bytes_each BIGINT: Bytes of one response, the median; lines of the older router count its headers too.
--   bytes_sent BIGINT: Bytes of all of them.
--   evidence VARCHAR: 'proved' (the access log gives the encoding, the size is that of the uncompressed file, or the site answers so), 'strong' (2.5 to 6 times smaller in an imported load-balancer log or at another time), 'likely' (one constant size only) or 'refuted' (the file's size or the site's answer shows compression).
--   saving_low_bytes BIGINT: Bytes that compression would have saved at least: exact where the file's own compressed size is known, else if it leaves 45 %; 0 when refuted.
--   saving_high_bytes BIGINT: Bytes that compression would have saved at most: exact likewise, else if it leaves 16 %; 0 when refuted.
--   first_at TIMESTAMPTZ: First of these responses.
--   last_at TIMESTAMPTZ: Last of these responses; long before the window's end, it has stopped.
--   days_seen DOUBLE: Days of the window with request lines of the app, without the parts before the first and after the last line.
--   month_low_bytes BIGINT: The lower saving in 30 days like those seen; NULL when less than 0.75 days were seen.
--   month_high_bytes BIGINT: The higher saving in 30 days like those seen; NULL when less than 0.75 days were seen.
--   month_low_seconds DOUBLE: Seconds that visitors would wait less in such a month, all together, for the lower saving.
--   month_high_seconds DOUBLE: Seconds that visitors would wait less in such a month, all together, for the higher saving.
--   file VARCHAR: The site's file that the path matches: of those where one path ends with the other, the longest; NULL when there is none.
--   probe VARCHAR: What the site answered when asked: 'uncompressed', the encoding (then it is compressed now), or why it gave no answer; NULL when not asked.
-- cost: Counts the router's rows by day, or on a local disk looks at the times of its files. The sizes of whole hours of past days are kept in asset_sizes, which a report brings up to date; other hours are read from the router, which for the days before the window is most of a day's question (look_back_days := 0 leaves it out). Two passes over access, one over the load-balancer rows of all earlier days, or of those since balancer_since.
-- example: SELECT * FROM uncompressed_assets(since := now() - INTERVAL 7 DAY) LIMIT 20
CREATE OR REPLACE MACRO uncompressed_assets(
  since := NULL, until := NULL, app_name := NULL, mbit_per_second := 10, site_files := NULL, probed := NULL,
  look_back_days := 30, balancer_since := NULL
) AS TABLE
-- Whether `asset_sizes` tell all of a day. Of the other days the router's rows must be read, from `drainlake_unsized`,
-- which is the router with all days or with these.
WITH days AS MATERIALIZED (
  FROM drainlake_router_days WHERE has_part_of(date, looks_back_to(since, look_back_days), until)
),
-- Through a list, since DuckDB takes the days for as many as requests and would join the other way round: that reads all
-- requests before it looks for days.
days_kept AS NOT MATERIALIZED (
  SELECT unnest(list(date)) AS date FROM days WHERE has_sizes
),
days_to_read AS NOT MATERIALIZED (
  SELECT unnest(list(date)) AS date FROM days WHERE NOT has_sizes
),
-- Of whole hours on one side of `since` and of `until`.
kept AS MATERIALIZED (
  SELECT *, coalesce(timestamp < instant(since), false) AS is_before
  FROM asset_sizes_between(looks_back_to(since, look_back_days), until, app_name)
  SEMI JOIN days_kept USING (date)
  WHERE coalesce(timestamp + INTERVAL 1 HOUR <= instant(since) OR timestamp >= instant(since), true)
    AND coalesce(timestamp + INTERVAL 1 HOUR <= instant(until), true)
),
-- The other hours as `asset_sizes` would have them: assets with path and size, and all others without. Where days are
-- kept these are the hours in which the window begins and ends; said as they are here, row groups without them are left
-- out.
read AS MATERIALIZED (
  SELECT
    app,
    date,
    coalesce(timestamp < instant(since), false) AS is_before,
    CASE WHEN is_asset THEN path END AS path,
    CASE WHEN is_asset THEN bytes END AS bytes,
    count(*) AS responses,
    count(*) FILTER (WHERE coalesce(protocol, 'http') IN ('http', 'https')) AS with_headers,
    min(timestamp) AS first_at,
    max(timestamp) AS last_at
  FROM (
    SELECT
      *,
      -- Two conditions, so that the second is looked at where the first holds only: it costs more than all the rest.
      CASE
        WHEN method = 'GET' AND status = 200 AND code IS NULL AND bytes > 0 THEN perhaps_compressible(path)
      END AS is_asset
    FROM (
      FROM drainlake_unsized_between(since, until, app_name) SEMI JOIN days_to_read USING (date)
      UNION ALL
      FROM router_between(
        greatest(utc_hour(instant(since)), looks_back_to(since, look_back_days)), until, app_name
      ) SEMI JOIN days_kept USING (date)
      WHERE timestamp < utc_hour_end(instant(since)) OR timestamp >= utc_hour(instant(until))
    )
    WHERE source = 'heroku'
  )
  GROUP BY ALL
),
-- What the router logged in the window.
logged AS MATERIALIZED (
  SELECT app, date, path, bytes, responses, with_headers, first_at, last_at
  FROM kept
  WHERE NOT is_before AND source = 'heroku'
  UNION ALL
  SELECT app, date, path, bytes, responses, with_headers, first_at, last_at
  FROM read
  WHERE NOT is_before
),
-- A quiet hour is no gap, a day without any line is one.
spans AS MATERIALIZED (
  SELECT
    app,
    bool_or(of_router) AS has_router,
    count(DISTINCT date) - 1
      + (epoch_us(max(last_at)) % 86_400_000_000 - epoch_us(min(first_at)) % 86_400_000_000) / 86_400_000_000
      AS days_seen
  FROM (
    SELECT app, date, true AS of_router, first_at, last_at FROM logged
    UNION ALL
    SELECT app, date, false, min(timestamp), max(timestamp) FROM access_between(since, until, app_name) GROUP BY ALL
  )
  GROUP BY app
),
-- The extended access format: a response is a fault only if the client offered an encoding and got none.
answered AS (
  SELECT app, bare_path(path) AS path, bytes, timestamp, compressed, NOT compressed AS plain
  FROM (
    SELECT *, coalesce(lower(content_encoding), 'identity') <> 'identity' AS compressed
    FROM access_between(since, until, app_name)
    WHERE request_ms IS NOT NULL AND method = 'GET' AND status = 200
  )
  WHERE compressed
    OR (
      bytes > 1400
      AND coalesce(compressible_type(content_type), compressible_name(bare_path(path)))
      AND offers_encoding(accept_encoding)
    )
),
told AS (
  SELECT
    app,
    path,
    count(*) FILTER (WHERE plain) AS requests,
    quantile_disc(bytes, 0.5) FILTER (WHERE plain) AS bytes_each,
    to_bigint(sum(bytes) FILTER (WHERE plain)) AS bytes_sent,
    0 AS with_headers,
    min(bytes) FILTER (WHERE plain) AS smallest,
    max(bytes) FILTER (WHERE plain) AS largest,
    min(timestamp) FILTER (WHERE plain) AS first_at,
    max(timestamp) FILTER (WHERE plain) AS last_at
  FROM answered
  GROUP BY app, path
),
-- The router knows sizes only. The older one (protocol http or https) counts the headers, which differ a little. The
-- ordinary access format knows no more; it is read for apps of which there are no router lines.
sizes AS (
  SELECT
    app,
    bare_path(logged_path) AS path,
    bytes,
    sum(responses) AS responses,
    sum(with_headers) AS with_headers,
    min(first_at) AS first_at,
    max(last_at) AS last_at
  FROM (
    SELECT app, path AS logged_path, bytes, responses, with_headers, first_at, last_at
    FROM logged
    WHERE path IS NOT NULL
    UNION ALL
    SELECT app, path, bytes, count(*), 0, min(timestamp), max(timestamp)
    FROM access_between(since, until, app_name)
    WHERE request_ms IS NULL AND method = 'GET' AND status = 200 AND bytes > 0 AND perhaps_compressible(path)
      AND app IN (SELECT app FROM spans WHERE NOT has_router)
    GROUP BY ALL
  )
  WHERE compressible_name(bare_path(logged_path))
  GROUP BY ALL
),
-- gzip leaves less than half, so sizes in the upper half are one way of sending it, and the others another.
grouped AS (
  SELECT
    *,
    CASE WHEN 2::HUGEINT * bytes > max(bytes) OVER (PARTITION BY app, path) THEN 'large' ELSE 'small' END AS mode
  FROM sizes
),
modes AS MATERIALIZED (
  SELECT
    app,
    path,
    mode,
    sum(responses)::BIGINT AS requests,
    min(bytes) FILTER (WHERE 2 * running >= in_all) AS bytes_each,  -- the median
    to_bigint(sum(bytes::HUGEINT * responses)) AS bytes_sent,
    sum(with_headers)::BIGINT AS with_headers,
    min(bytes) AS smallest,
    max(bytes) AS largest,
    min(first_at) AS first_at,
    max(last_at) AS last_at,
    count(*) AS different
  FROM (
    SELECT
      *,
      sum(responses) OVER (PARTITION BY app, path, mode ORDER BY bytes) AS running,
      sum(responses) OVER (PARTITION BY app, path, mode) AS in_all
    FROM grouped
  )
  GROUP BY app, path, mode
),
large AS MATERIALIZED (
  FROM modes ANTI JOIN told USING (app, path) WHERE mode = 'large' AND bytes_each > 1400
),
-- The median sizes that the large ones had before the window. To read a month of requests is most of what a day's
-- question costs, so the other paths are left out before they are counted. A compressible name has a dot, which may be
-- percent-encoded.
before AS (
  SELECT app, path, min(bytes) FILTER (WHERE 2 * running >= in_all) AS bytes_each  -- the median
  FROM (
    SELECT
      app,
      path,
      bytes,
      sum(sum(responses)) OVER (PARTITION BY app, path ORDER BY bytes) AS running,
      sum(sum(responses)) OVER (PARTITION BY app, path) AS in_all
    FROM (
      SELECT app, bare_path(path) AS path, bytes, responses
      FROM kept
      WHERE is_before AND path IS NOT NULL
      UNION ALL
      SELECT app, bare_path(path), bytes, responses
      FROM read
      WHERE is_before AND path IS NOT NULL
      UNION ALL
      SELECT app, bare_path(path), bytes, 1
      FROM drainlake_unsized_between(looks_back_to(since, look_back_days), since, app_name)
      SEMI JOIN days_to_read USING (date)
      WHERE since IS NOT NULL AND (contains(path, '.') OR contains(path, '%'))
        AND source = 'heroku' AND method = 'GET' AND status = 200 AND code IS NULL AND bytes > 0
      UNION ALL
      SELECT app, bare_path(path), bytes, 1
      FROM access_between(looks_back_to(since, look_back_days), since, app_name)
      WHERE since IS NOT NULL AND (contains(path, '.') OR contains(path, '%'))
        AND request_ms IS NULL AND method = 'GET' AND status = 200 AND bytes > 0
        AND app IN (SELECT app FROM spans WHERE NOT has_router)
    )
    SEMI JOIN large USING (app, path)
    GROUP BY app, path, bytes
  )
  GROUP BY app, path
),
-- Before the move: the load balancer's log is older than any window asked about, so `since` does not bound it.
earlier AS MATERIALIZED (
  SELECT app, path, requests, quarters[1] AS lower_bytes, quarters[2] AS bytes_each, quarters[3] AS upper_bytes
  FROM (
    -- Three quantiles in one: nearly each path of a site with ids is asked for once.
    SELECT app, bare_path(path) AS path, count(*) AS requests, quantile_disc(bytes, [0.25, 0.5, 0.75]) AS quarters
    FROM router_between(balancer_since, until, app_name)
    WHERE source IN ('elb', 'alb') AND method = 'GET' AND status = 200 AND bytes > 0
    GROUP BY ALL
  )
  WHERE compressible_name(path) OR page_name(path)
),
compared AS (
  SELECT
    large.*,
    earlier.bytes_each AS bytes_at_balancer,
    before.bytes_each AS bytes_before,
    small.bytes_each AS bytes_small,
    small.requests AS requests_small,
    least(large.last_at, small.last_at) - greatest(large.first_at, small.first_at) AS together,
    -- One after the other, each often enough to be no chance: compression began or ended. A few dynos may overlap.
    coalesce(
      least(large.requests, small.requests) >= 10
      AND (
        large.last_at < small.first_at
        OR small.last_at < large.first_at
        OR 20 * epoch_us(together) < least(epoch_us(large.last_at - large.first_at), epoch_us(small.last_at - small.first_at))
      ),
      false
    ) AS apart
  FROM large
  LEFT JOIN (FROM modes WHERE mode = 'small') AS small USING (app, path)
  LEFT JOIN before USING (app, path)
  LEFT JOIN earlier USING (app, path)
),
graded AS (
  SELECT
    app,
    path,
    requests,
    bytes_each,
    bytes_sent,
    with_headers,
    smallest,
    largest,
    first_at,
    last_at,
    CASE
      -- Two sizes at a time: it is compressed for whoever asks. Up to 2 % small ones were cut off.
      WHEN NOT apart AND 50 * requests_small > requests + requests_small THEN NULL
      WHEN smallest >= 2.5 * bytes_at_balancer AND largest <= 6::HUGEINT * bytes_at_balancer THEN 'strong'
      WHEN smallest >= 2.5 * bytes_before AND largest <= 6::HUGEINT * bytes_before THEN 'strong'
      WHEN apart AND smallest >= 2.5 * bytes_small AND largest <= 6::HUGEINT * bytes_small THEN 'strong'
      -- Much smaller than before: it is compressed now.
      WHEN largest * 2.5 <= greatest(bytes_at_balancer, bytes_before) THEN NULL
      WHEN largest - smallest <= CASE WHEN with_headers > 0 THEN 300 ELSE 0 END THEN 'likely'
      -- Versions of one file are few and of nearly one size.
      WHEN largest < 1.5 * smallest AND 10 * (different - 1) <= requests THEN 'likely'
    END AS evidence
  FROM compared
),
-- The size of a page differs from answer to answer: the middle half of all must have grown 2.5 to 6 times.
pages AS (
  SELECT
    app,
    path,
    count(*) AS requests,
    quantile_disc(bytes, 0.5) AS bytes_each,
    to_bigint(sum(bytes)) AS bytes_sent,
    count(*) FILTER (WHERE coalesce(protocol, 'http') IN ('http', 'https')) AS with_headers,
    min(bytes) AS smallest,
    max(bytes) AS largest,
    min(timestamp) AS first_at,
    max(timestamp) AS last_at,
    quantile_disc(bytes, 0.25) AS lower_bytes,
    quantile_disc(bytes, 0.75) AS upper_bytes
  FROM (
    SELECT * REPLACE (bare_path(path) AS path)
    FROM router_between(since, until, app_name)
    WHERE source = 'heroku' AND method = 'GET' AND status = 200 AND code IS NULL AND bytes > 0
  )
  SEMI JOIN (FROM earlier WHERE requests >= 10 AND NOT compressible_name(path)) USING (app, path)
  GROUP BY app, path
  HAVING count(*) >= 10 AND quantile_disc(bytes, 0.25) > 1400
),
-- A path the extended format speaks of is judged by it alone: gzip to every client also looks like one size.
judged AS (
  SELECT *, 'proved' AS evidence FROM told WHERE requests > 0
  UNION ALL BY NAME
  SELECT * FROM graded WHERE evidence IS NOT NULL
  UNION ALL BY NAME
  SELECT pages.* EXCLUDE (lower_bytes, upper_bytes), 'strong' AS evidence
  FROM pages JOIN earlier USING (app, path) ANTI JOIN told USING (app, path)
  WHERE pages.lower_bytes >= 2.5 * earlier.upper_bytes AND pages.upper_bytes <= 6::HUGEINT * earlier.lower_bytes
),
files AS (
  SELECT fact.*, parse_filename(fact.path) AS name
  FROM (
    SELECT unnest(TRY_CAST(TRY_CAST(site_files AS JSON) AS STRUCT(path VARCHAR, plain_bytes BIGINT, compressed_bytes BIGINT)[])) AS fact
  )
),
answers AS (
  SELECT fact.path, any_value(fact) AS fact
  FROM (
    SELECT unnest(
      TRY_CAST(TRY_CAST(probed AS JSON) AS STRUCT(path VARCHAR, answer VARCHAR, plain_bytes BIGINT, compressed_bytes BIGINT)[])
    ) AS fact
  )
  GROUP BY fact.path
),
-- Where one path ends with the other they may be one file, surest where most of it is the same; only its size proves it.
matched AS (
  SELECT
    judged.app,
    judged.path,
    max({
      'length': least(length(judged.path), length(files.path) + 1),
      'fits': bytes_each - plain_bytes BETWEEN 0 AND CASE WHEN with_headers > 0 THEN 1000 ELSE 0 END,
      'file': files.path,
      'plain_bytes': plain_bytes,
      'compressed_bytes': compressed_bytes
    }) AS found
  FROM judged JOIN files ON parse_filename(judged.path) = files.name
  WHERE ends_with(judged.path, '/' || files.path) OR ends_with('/' || files.path, judged.path)
  GROUP BY ALL
),
settled AS (
  SELECT
    judged.* EXCLUDE (evidence),
    found.file AS file,
    fact.answer AS probe,
    coalesce(found.fits, false) AS fits_file,
    coalesce(bytes_each - fact.plain_bytes BETWEEN 0 AND CASE WHEN with_headers > 0 THEN 1000 ELSE 0 END, false)
      AS fits_answer,
    CASE
      WHEN fits_file THEN found.plain_bytes - found.compressed_bytes
      WHEN fits_answer THEN fact.plain_bytes - fact.compressed_bytes
    END AS saving_each,
    largest - smallest <= CASE WHEN with_headers > 0 THEN 300 ELSE 0 END AS of_one_size,
    CASE
      WHEN evidence = 'proved' OR fits_file OR fits_answer OR fact.answer = 'uncompressed' THEN 'proved'
      WHEN fact.answer IN ('gzip', 'br', 'zstd', 'deflate') THEN 'refuted'
      -- About what the file has when compressed; levels and methods differ that much.
      WHEN bytes_each <= 0.8 * found.plain_bytes
        AND bytes_each BETWEEN 0.75 * found.compressed_bytes AND 1.3 * found.compressed_bytes THEN 'refuted'
      ELSE evidence
    END AS evidence
  FROM judged LEFT JOIN matched USING (app, path) LEFT JOIN answers USING (path)
),
-- gzip left 16 to 45 % of the text files measured. Headers, at most 1,000 bytes, are not compressed.
saved AS (
  SELECT
    *,
    CASE
      WHEN evidence = 'refuted' THEN 0
      WHEN of_one_size AND saving_each IS NOT NULL THEN to_bigint(requests::HUGEINT * greatest(saving_each, 0))
      ELSE to_bigint(greatest(bytes_sent - 1000 * with_headers, 0) * 55::HUGEINT // 100)
    END AS saving_low_bytes,
    CASE
      WHEN evidence = 'refuted' THEN 0
      WHEN of_one_size AND saving_each IS NOT NULL THEN to_bigint(requests::HUGEINT * greatest(saving_each, 0))
      ELSE to_bigint(bytes_sent * 84::HUGEINT // 100)
    END AS saving_high_bytes
  FROM settled
)
SELECT
  app,
  path,
  requests,
  bytes_each,
  bytes_sent,
  evidence,
  saving_low_bytes,
  saving_high_bytes,
  first_at,
  last_at,
  round(days_seen, 2) AS days_seen,
  CASE WHEN spans.days_seen >= 0.75 THEN to_bigint(round(saving_low_bytes * 30.0::DOUBLE / spans.days_seen)) END AS month_low_bytes,
  CASE WHEN spans.days_seen >= 0.75 THEN to_bigint(round(saving_high_bytes * 30.0::DOUBLE / spans.days_seen)) END AS month_high_bytes,
  round(month_low_bytes * 8.0::DOUBLE / (1e6 * mbit_per_second::DOUBLE), 1) AS month_low_seconds,
  round(month_high_bytes * 8.0::DOUBLE / (1e6 * mbit_per_second::DOUBLE), 1) AS month_high_seconds,
  file,
  probe
FROM saved JOIN spans USING (app)
UNION ALL
-- error() would not be reached from a row of an empty lake.
SELECT
  error('mbit_per_second is a number from 0.001 to 1000000; try mbit_per_second := 10.'),
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE coalesce(TRY_CAST(mbit_per_second AS DOUBLE) NOT BETWEEN 0.001 AND 1000000, true)
UNION ALL
SELECT
  error('look_back_days is a number of days from 0 to 30; try look_back_days := 7.'),
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE coalesce(TRY_CAST(look_back_days AS DOUBLE) NOT BETWEEN 0 AND 30, true)
UNION ALL
SELECT
  error('site_files and probed are lists in JSON; try --assets DIR or --probe URL, which make them.'),
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE (site_files IS NOT NULL AND TRY_CAST(TRY_CAST(site_files AS JSON) AS STRUCT(path VARCHAR, plain_bytes BIGINT, compressed_bytes BIGINT)[]) IS NULL)
  OR (probed IS NOT NULL AND TRY_CAST(TRY_CAST(probed AS JSON) AS STRUCT(path VARCHAR, answer VARCHAR, plain_bytes BIGINT, compressed_bytes BIGINT)[]) IS NULL)
ORDER BY saving_high_bytes DESC, app, path;
