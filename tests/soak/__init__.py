"""Hours of operation in one command: load, faults, restarts, midnight; memory, files and ledger are looked at."""
