"""A real Kafka on loopback for the tests: ``fixtures`` says how to use it."""
