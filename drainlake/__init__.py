"""The front door: command line and settings. No logic lives here; it composes the other packages."""

__version__ = "0.18.0"
