"""Coverage-guided fuzzing of everything that reads what others wrote; README.md says how."""
