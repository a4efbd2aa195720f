"""Tests of the schedule, its ledger and its messages."""
