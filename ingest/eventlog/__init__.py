"""The event log: one contract, implemented on SQLite (embedded) and, later, on Kafka."""
