"""What is due, what rings, and what has reached whom: the rules of the schedule, its ledger and its messages."""
