-- Intervals for what was only sampled; `z` is the normal quantile of the confidence wanted, 1.96 for 95 %.

-- Wilson's score interval of a share, `hits` of `trials`; NULL without a trial.
CREATE OR REPLACE MACRO wilson_low(hits, trials, z) AS
  CASE
    WHEN trials > 0 THEN
      greatest(
        (hits / trials + z * z / (2 * trials)
          - z * sqrt(hits / trials * (1 - hits / trials) / trials + z * z / (4 * trials * trials)))
          / (1 + z * z / trials),
        0
      )
  END;

CREATE OR REPLACE MACRO wilson_high(hits, trials, z) AS 1 - wilson_low(trials - hits, trials, z);

-- Newcombe's interval (his method 10) of the second share less the first, from the Wilson intervals of both.
CREATE OR REPLACE MACRO newcombe_low(hits1, trials1, hits2, trials2, z) AS
  hits2 / trials2 - hits1 / trials1
    - sqrt(
      pow(hits2 / trials2 - wilson_low(hits2, trials2, z), 2)
        + pow(wilson_high(hits1, trials1, z) - hits1 / trials1, 2)
    );

CREATE OR REPLACE MACRO newcombe_high(hits1, trials1, hits2, trials2, z) AS
  -newcombe_low(hits2, trials2, hits1, trials1, z);

-- The ranks (1 is the smallest of `trials` values) between which the true quantile `q` lies, whatever the values'
-- distribution; NULL where so few values cannot bound it. The steps of the binomial distribution are allowed for by
-- one more rank on each side.
CREATE OR REPLACE MACRO quantile_rank_low(trials, q, z) AS
  CASE WHEN floor(trials * q - z * sqrt(trials * q * (1 - q))) >= 1
    THEN floor(trials * q - z * sqrt(trials * q * (1 - q)))::BIGINT
  END;

CREATE OR REPLACE MACRO quantile_rank_high(trials, q, z) AS
  CASE WHEN ceil(trials * q + z * sqrt(trials * q * (1 - q))) + 1 <= trials
    THEN ceil(trials * q + z * sqrt(trials * q * (1 - q)))::BIGINT + 1
  END;
