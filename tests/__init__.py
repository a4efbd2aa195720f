"""The tests of drainlake; the folders mirror the source."""
