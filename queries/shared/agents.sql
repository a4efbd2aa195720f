-- The program that a user agent names, without its version: what all claim to be (Mozilla, Safari, Chrome) comes last.
-- NULL where there is no user agent. Programs of machines are told by their first word.
CREATE OR REPLACE MACRO browser_of(agent) AS
  CASE
    WHEN agent IS NULL THEN NULL
    WHEN regexp_matches(agent, 'Edg(e|A|iOS)?/') THEN 'Edge'
    WHEN regexp_matches(agent, 'OPR/|OPiOS/|Opera') THEN 'Opera'
    WHEN contains(agent, 'SamsungBrowser/') THEN 'Samsung Internet'
    WHEN regexp_matches(agent, 'Vivaldi/') THEN 'Vivaldi'
    WHEN regexp_matches(agent, 'YaBrowser/') THEN 'Yandex Browser'
    WHEN regexp_matches(agent, 'Firefox/|FxiOS/') THEN 'Firefox'
    WHEN regexp_matches(agent, 'Chrom(e|ium)/|CriOS/') THEN 'Chrome'
    WHEN regexp_matches(agent, 'MSIE |Trident/') THEN 'Internet Explorer'
    WHEN contains(agent, 'Safari/') OR regexp_matches(agent, '(iPhone|iPad|Macintosh).*AppleWebKit') THEN 'Safari'
    WHEN starts_with(agent, 'Mozilla/') THEN 'another browser'
    ELSE regexp_extract(agent, '^[^/ ;(]{1,40}')
  END;

-- The operating system that a user agent names; NULL where it names none of these. iPads and telephones come before the
-- systems that they say they are like.
CREATE OR REPLACE MACRO system_of(agent) AS
  CASE
    WHEN regexp_matches(agent, 'iPhone|iPad|iPod') THEN 'iOS'
    WHEN contains(agent, 'Android') THEN 'Android'
    WHEN contains(agent, 'Windows') THEN 'Windows'
    WHEN regexp_matches(agent, 'Mac OS X|Macintosh') THEN 'macOS'
    WHEN contains(agent, 'CrOS') THEN 'ChromeOS'
    WHEN contains(agent, 'Linux') THEN 'Linux'
  END;
