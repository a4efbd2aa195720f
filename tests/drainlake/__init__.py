"""The front door: settings, command line, output, prompt."""
