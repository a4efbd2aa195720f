"""One module per command: its options and help. Each exposes ``command``; what is heavy is imported late."""
