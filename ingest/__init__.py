"""The way of a line from a delivery to the event log: frames, parsers, redaction, receiver, simulator."""
