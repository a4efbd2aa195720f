"""HTTP at the edge: connections and their limits, TLS, credentials before bodies, bodies before parsing."""
