"""The pages of `deploy/`, and what lies beside them, as they are used."""
