-- Since when messages were lost, as the notice of it tells (L10 to L13); NULL where it does not.
CREATE OR REPLACE MACRO lost_since(notice) AS nullif(regexp_extract(notice, ' since (\S+?)\.?$', 1), '');

-- The losses that reach into [since, until), each from its first message to its notice, which comes with the next
-- delivery that gets through: perhaps after the window. Of one that does not say since when, the notice is all that is
-- known.
CREATE OR REPLACE MACRO losses_between(since, until, app_name) AS TABLE
  SELECT DISTINCT app, from_us, to_us
  FROM (
    SELECT
      app,
      epoch_us(timestamp) AS to_us,
      coalesce(least(epoch_us(TRY(instant(lost_since(message)))), to_us), to_us) AS from_us
    FROM platform_between(since, instant(until) + INTERVAL 10 MINUTE, app_name)
    WHERE lines_dropped > 0
  )
  WHERE until IS NULL OR from_us < epoch_us(instant(until));
