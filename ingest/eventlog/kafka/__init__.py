"""The Kafka event log: one topic per table, many receivers and many landers (see ``log``)."""
