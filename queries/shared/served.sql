-- The requests that a dyno (or a load balancer's target) had in flight in [since, until), as intervals [start_us, end_us)
-- of microseconds since the epoch: from the line's time less service and connect time up to that time, and at least one
-- microsecond long. WebSockets (status 101) are left out, and requests that reached no dyno.
--
-- A line is written when its request ends, so what was in flight at `until` is logged after it. Starts are cut at
-- `since`: before it the requests that ended earlier are missing. For the same reason a request that ended at `since`
-- itself is out. `logged_start_us` is not cut. Load balancers time in microseconds, which stand in `extra`.
CREATE OR REPLACE MACRO served_between(since, until, app_name) AS TABLE
  SELECT *
  FROM (
    SELECT
      app,
      source,
      dyno,
      method,
      host,
      path,
      route,
      code,
      status,
      bytes,
      service_ms,
      service_ms::BIGINT + coalesce(connect_ms, 0) AS lasted_ms,
      request_id,
      timestamp,
      date,
      -- The router, or the load balancer, gave up on it; whoever worked on it goes on unseen.
      coalesce(code = 'H12' OR (source <> 'heroku' AND status = 504), false) AS timed_out,
      epoch_us(timestamp) - coalesce(
        CASE WHEN source <> 'heroku' THEN TRY_CAST(regexp_extract(extra, '"duration_us": ?"(\d+)"', 1) AS BIGINT) END,
        1000 * lasted_ms
      ) AS logged_start_us,
      greatest(epoch_us(timestamp), logged_start_us + 1) AS end_us,
      greatest(logged_start_us, coalesce(epoch_us(instant(since)), logged_start_us)) AS start_us
    FROM router_between(since, instant(until) + INTERVAL 10 MINUTE, app_name)
    WHERE dyno IS NOT NULL AND service_ms IS NOT NULL AND status IS DISTINCT FROM 101
  )
  -- What was logged after `since` ended after it, and what was logged before `until` began before it: said first, since
  -- it is cheaper to see.
  WHERE (since IS NULL OR timestamp > instant(since) OR start_us < end_us)
    AND (until IS NULL OR timestamp < instant(until) OR start_us < epoch_us(instant(until)));

-- What a question about requests in flight counts by; the question refuses any other `counted_by`.
CREATE OR REPLACE MACRO flight_key(counted_by, of_app, of_dyno, of_route) AS
  CASE counted_by WHEN 'app' THEN of_app WHEN 'dyno' THEN of_dyno WHEN 'route' THEN of_route END;

-- The start or the end of a request as a moment to sort by: twice the microseconds, and one more for a start, so that
-- requests end before others start at a tie.
CREATE OR REPLACE MACRO flight_moment(is_begin, began_at_us, ended_at_us) AS
  CASE WHEN is_begin THEN 2 * began_at_us + 1 ELSE 2 * ended_at_us END;

-- By how much such a moment changes how many are in flight.
CREATE OR REPLACE MACRO flight_change(of_moment) AS CASE WHEN of_moment % 2 <> 0 THEN 1 ELSE -1 END;
