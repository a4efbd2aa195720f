-- Two periods of an app's requests side by side, for the questions that compare.
CREATE OR REPLACE MACRO period_us(since, until) AS
  epoch_us(coalesce(instant(until), now())) - epoch_us(instant(since));

CREATE OR REPLACE MACRO or_a_day(since, until) AS
  coalesce(instant(since), coalesce(instant(until), now()) - INTERVAL 24 HOUR);

-- Whole weeks keep weekday and hour. Hours, because a day of the session's time zone may have 23 or 25 of them.
CREATE OR REPLACE MACRO weeks_before(moment, since, until) AS
  coalesce(instant(moment), now()) - to_hours(168 * greatest(1, ceil(period_us(since, until) / 604800e6))::INTEGER);

-- Where the period that was given ends: where it is as long as the later one, or where that begins.
CREATE OR REPLACE MACRO given_end(since, until, before_since, before_until) AS
  coalesce(
    instant(before_until),
    least(instant(before_since) + to_microseconds(period_us(since, until)), instant(since))
  );

-- The requests of a period and of an earlier one; `period` tells which.
--
-- Where no before_since is given: the same hours some weeks before for an app that has at least half as many requests
-- there as just before; else the period just before. All bounds are constants: only by these are files left out.
CREATE OR REPLACE MACRO requests_of_periods(since, until, app_name, before_since, before_until) AS TABLE
WITH candidates AS NOT MATERIALIZED (
  SELECT *, 'weeks' AS period
  FROM router_between(weeks_before(since, since, until), weeks_before(until, since, until), app_name)
  WHERE source = 'heroku' AND before_since IS NULL
  UNION ALL
  SELECT *, 'just'
  FROM router_between(instant(since) - to_microseconds(period_us(since, until)), since, app_name)
  WHERE source = 'heroku' AND before_since IS NULL
),
chosen AS MATERIALIZED (
  SELECT
    app,
    CASE
      WHEN 2 * count(*) FILTER (WHERE period = 'weeks') >= count(*) FILTER (WHERE period = 'just') THEN 'weeks'
      ELSE 'just'
    END AS period
  FROM candidates
  GROUP BY app
)
SELECT *, 'later' AS period
FROM router_between(since, until, app_name)
WHERE source = 'heroku'
UNION ALL
SELECT *, 'given'
FROM router_between(before_since, given_end(since, until, before_since, before_until), app_name)
WHERE source = 'heroku' AND before_since IS NOT NULL
UNION ALL
FROM candidates SEMI JOIN chosen USING (app, period);

-- The requests of a period on Heroku, and what load balancers logged before, by default all of it.
CREATE OR REPLACE MACRO requests_of_move(since, until, app_name, before_since, before_until) AS TABLE
SELECT *, 'later' AS period
FROM router_between(since, until, app_name)
WHERE source = 'heroku'
UNION ALL
SELECT *, 'moved'
FROM router_between(before_since, coalesce(before_until, until), app_name)
WHERE source IN ('elb', 'alb');

-- Half of a 99 % interval, from the sum of the blocks' squared pulls; the first factor is Student's t to 1 %. At 95 % ten
-- of 200 unchanged routes would be called changed. NULL under ten blocks, where nothing can be said.
CREATE OR REPLACE MACRO margin_99(blocks, squares) AS
  CASE
    WHEN blocks >= 10
      THEN (2.5758 + 4.92 / (blocks - 1) + 8.83 / (blocks - 1) ** 2) * sqrt(squares * blocks / (blocks - 1))
  END;

-- A difference of one millisecond may be the rounding of both values. The interval may be open on one side.
CREATE OR REPLACE MACRO speed_words(low_ms, high_ms) AS
  CASE
    WHEN low_ms > 1 THEN 'slower'
    WHEN high_ms < -1 THEN 'faster'
    WHEN low_ms IS NULL OR high_ms IS NULL THEN 'too few requests'
    ELSE 'no difference shown'
  END;

-- Two conditions. The counts differ by more than chance if each request failed on its own (99 %, with Yates's
-- correction: the margin alone is far too narrow where one side has no failure at all). And the shares differ by more than
-- the blocks do among themselves; where only that is not met, the failures came in a few blocks together.
CREATE OR REPLACE MACRO error_words(
  share_before, share_after, margin, failed_before, requests_before, failed_after, requests_after
) AS
  CASE
    WHEN coalesce(
      abs(failed_after / requests_after - failed_before / requests_before)
        - (1 / requests_after + 1 / requests_before) / 2
      <= 2.5758 * sqrt(
        ((failed_after + failed_before) / (requests_after + requests_before))
        * (1 - (failed_after + failed_before) / (requests_after + requests_before))
        * (1 / requests_after + 1 / requests_before)
      ),
      true
    ) THEN 'no difference shown'
    WHEN share_after - share_before > margin THEN 'more errors'
    WHEN share_before - share_after > margin THEN 'fewer errors'
    WHEN share_after > share_before THEN 'more errors at times'
    ELSE 'no difference shown'
  END;

-- The difference of two independent values from the interval of each: Zou and Donner's MOVER.
CREATE OR REPLACE MACRO difference_low(before, before_high, after, after_low) AS
  round(after - before - sqrt((after - after_low) ** 2 + (before_high - before) ** 2), 1);

CREATE OR REPLACE MACRO difference_high(before, before_low, after, after_high) AS
  round(after - before + sqrt((after_high - after) ** 2 + (before - before_low) ** 2), 1);
