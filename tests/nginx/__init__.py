"""A real nginx for the tests of compression."""
