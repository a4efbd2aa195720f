-- A sum or a product as BIGINT; what does not fit is the largest there is. Sizes stand in log lines as anyone may write
-- them, and one absurd line must not stop a question from being answered.
CREATE OR REPLACE MACRO to_bigint(amount) AS
  CASE WHEN amount < 9e18 THEN amount::BIGINT WHEN amount >= 9e18 THEN 9223372036854775807 END;

-- The sum of some amounts, 0 if there are none.
CREATE OR REPLACE MACRO sum_where(amount, is_meant) AS coalesce(sum(amount) FILTER (WHERE is_meant), 0)::BIGINT;

-- Length of a step of time in microseconds. Whoever takes it refuses wrong lengths with a sentence; here they are only
-- kept from breaking off the computation before that sentence is reached.
CREATE OR REPLACE MACRO step_us(seconds_each) AS (1000000::BIGINT * least(greatest(seconds_each, 1), 86400))::BIGINT;

-- Refuses answers of steps that nobody could read or hold, before they are made.
CREATE OR REPLACE MACRO few_enough(steps_in_all) AS
  CASE
    WHEN steps_in_all > 1000000
      THEN error('The answer would have over 1,000,000 rows; try a longer step or a shorter window.')
    ELSE true
  END;
