-- A path as it was logged, query string off. Most paths have none, and looking costs less than splitting.
CREATE OR REPLACE MACRO without_query(logged_path) AS
  CASE
    WHEN contains(logged_path, '?') OR contains(logged_path, '#')
      THEN split_part(split_part(logged_path, '?', 1), '#', 1)
    ELSE logged_path
  END;

-- Paths as log lines of different origin can be compared: query string off, percent-encoding undone (the newer
-- router logs paths decoded, nginx and the load balancers do not). What decodes to no UTF-8 stays as it is.
CREATE OR REPLACE MACRO bare_path(logged_path) AS
  CASE
    WHEN contains(logged_path, '%') THEN coalesce(TRY(url_decode(without_query(logged_path))), without_query(logged_path))
    ELSE without_query(logged_path)
  END;

CREATE OR REPLACE MACRO compressible_name(asset_path) AS
  regexp_matches(
    lower(asset_path),
    '\.(css|js|mjs|json|map|svg|html?|xml|txt|csv|webmanifest|ttf|otf|eot|rss|atom)$'
  );

-- True for every logged path whose bare_path is a compressible_name, and for few others: only these are taken apart.
-- A dot is looked for first, since most paths have none and the pattern costs ten times that.
CREATE OR REPLACE MACRO perhaps_compressible(logged_path) AS
  (
    contains(logged_path, '.')
    AND regexp_matches(
      lower(logged_path),
      '\.(css|js|mjs|json|map|svg|html?|xml|txt|csv|webmanifest|ttf|otf|eot|rss|atom)([?#]|$)'
    )
  )
  OR contains(logged_path, '%');

CREATE OR REPLACE MACRO compressible_type(mime_type) AS
  regexp_matches(
    lower(mime_type),
    '^(text/|application/(x-)?(javascript|json|xml|manifest|font-ttf|vnd\.ms-fontobject)|font/(ttf|otf)|image/svg|[a-z]+/[^;]*\+(json|xml))'
  );

-- Whether a client offers a content encoding; `gzip;q=0` declines it. Offering only deflate counts too: nobody gets it.
CREATE OR REPLACE MACRO offers_encoding(offered) AS
  regexp_matches(
    CASE
      WHEN contains(offered, '=0') THEN regexp_replace(lower(offered), '[a-z*-]+\s*;\s*q=0(\.0*)?\s*(,|$)', '', 'g')
      ELSE lower(offered)
    END,
    'gzip|deflate|br|zstd|\*'
  );

-- What looks like a page or a call to an API, not like a file: no ending, or that of a script.
CREATE OR REPLACE MACRO page_name(asset_path) AS
  NOT regexp_matches(asset_path, '\.[A-Za-z0-9]+$') OR regexp_matches(lower(asset_path), '\.(php|aspx?|jsp|cgi)$');

-- What nginx serves itself, as far as a path tells: files that PHP hardly ever makes. A dot is looked for first here, too.
CREATE OR REPLACE MACRO static_name(asset_path) AS
  contains(asset_path, '.')
  AND regexp_matches(
    asset_path,
    '(?i)^[^?]*\.(?:css|js|mjs|map|png|jpe?g|gif|svg|ico|webp|avif|bmp|woff2?|ttf|otf|eot|mp[34]|webm|ogg|webmanifest)(?:\?|$)'
  );
