"""drainlake's own log: one line per event on stderr, without secrets, repeats counted."""
