-- question: Which of Heroku's H codes did requests end in, what do they mean, how often and when?
-- one row per: app and H code that occurred
-- parameters:
--   since: First instant counted (TIMESTAMPTZ, DATE or text, UTC unless it names a zone); NULL is the beginning.
--   until: First instant no longer counted; NULL is the end.
--   app_name: The app asked about; NULL is all apps.
-- columns:
--   app VARCHAR: The app.
--   code VARCHAR: Heroku's code, such as H12.
--   meaning VARCHAR: What it means; for a code not known here the router's own words, NULL if it gave none.
--   requests BIGINT: Requests that ended in it.
--   first_at TIMESTAMPTZ: The first of them.
--   last_at TIMESTAMPTZ: The last of them.
--   share DOUBLE: Their part of all requests of the app that Heroku's router logged in the window, from 0 to 1.
-- cost: One pass over the router files of the days asked about.
-- example: SELECT * FROM error_codes(since := now() - INTERVAL 7 DAY, app_name := 'shop')
CREATE OR REPLACE MACRO error_codes(since := NULL, until := NULL, app_name := NULL) AS TABLE
WITH meanings (code, meaning) AS (
  VALUES
    ('H10', 'App crashed: the web dyno crashed or did not boot in time'),
    ('H11', 'Backlog too deep: more requests waited at the router than it holds for the app'),
    ('H12', 'Request timeout: no byte of the response within 30 s; the dyno goes on working'),
    ('H13', 'Connection closed without response: the dyno accepted the request and closed without writing'),
    ('H14', 'No web processes running: no web dyno is up'),
    ('H15', 'Idle connection: the dyno was silent for 55 s in the middle of a response'),
    ('H16', 'Redirect from herokuapp.com (no longer sent)'),
    ('H17', 'Poorly formatted HTTP response: the dyno sent what is no HTTP'),
    ('H18', 'Server request interrupted: the dyno closed its socket in the middle of a response'),
    ('H19', 'Backend connection timeout: no connection to the dyno within 5 s'),
    ('H20', 'App boot timeout: no dyno was up within 75 s'),
    ('H21', 'Backend connection refused: the dyno refused the connection'),
    ('H22', 'Connection limit reached: too many client connections'),
    ('H23', 'Endpoint misconfigured: WebSocket through a proxy that cannot (no longer sent)'),
    ('H24', 'Forced close: the router was shut down in the middle of a request'),
    ('H25', 'HTTP restriction: the response was judged unsafe (content length, cookie, header or status line)'),
    ('H26', 'Request error: the client sent a bad request'),
    ('H27', 'Client request interrupted: the client went away before the response'),
    ('H28', 'Client connection idle: the client was silent for 55 s in the middle of a response'),
    ('H31', 'Misdirected request: wrong endpoint, often a stale DNS entry'),
    ('H32', 'TLS certificate mismatch'),
    ('H33', 'HTTP/2 stream broken by the client or the dyno'),
    ('H34', 'All running dynos are quarantined after failed connections'),
    ('H70', 'Access to an endpoint of an old stack was denied (no longer sent)'),
    ('H80', 'Maintenance mode (not an error)'),
    ('H81', 'Blank app: no code was deployed'),
    ('H82', 'Dyno hour pool used up'),
    ('H83', 'Planned service degradation, announced by Heroku (not an error)'),
    ('H99', 'Platform error: Heroku''s own fault')
),
counted AS (
  SELECT
    app,
    code,
    max(description) AS words,
    count(*) AS requests,
    min(timestamp) AS first_at,
    max(timestamp) AS last_at,
    count(*) / sum(count(*)) OVER (PARTITION BY app) AS share
  FROM router_between(since, until, app_name)
  WHERE source = 'heroku'
  GROUP BY app, code
)
SELECT app, code, coalesce(meaning, words) AS meaning, requests, first_at, last_at, share
FROM counted LEFT JOIN meanings USING (code)
WHERE code IS NOT NULL
ORDER BY app, requests DESC, code;
