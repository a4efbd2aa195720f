-- What a dyno costs in US dollars a month of 720 hours, as Heroku's own command line (version 11.10.0 of 2026-09-06)
-- lists it; it is billed by the second. `quota_mb` is the memory by which a type shows in the log: only the cheapest of
-- equal memory that takes more than one dyno has it. Eco dynos cost $5 a month for 1,000 hours, shared by all of them.
-- The largest types of Private Spaces are left out: the list has them cheaper than smaller ones, which cannot be right.
CREATE OR REPLACE MACRO dyno_prices() AS TABLE
  SELECT type, month_dollars::DOUBLE AS month_dollars, quota_mb, DATE '2026-09-06' AS listed_on
  FROM (
    VALUES
      ('Eco', 3.6, NULL),
      ('Basic', 7, NULL),
      ('Standard-1X', 25, 512),
      ('Standard-2X', 50, 1024),
      ('Performance-M', 250, 2560),
      ('Performance-L', 500, 14336),
      ('Performance-L-RAM', 500, 30720),
      ('Performance-XL', 750, 63488),
      ('Performance-2XL', 1500, 129024),
      ('Private-S', 225, NULL),
      ('Private-M', 450, NULL),
      ('Private-L', 900, NULL),
      ('Shield-S', 270, NULL),
      ('Shield-M', 540, NULL),
      ('Shield-L', 1080, NULL)
  ) AS listed (type, month_dollars, quota_mb);
