"""Soaks: real processes under load while faults happen by a schedule; then the lake is compared with what was sent."""
