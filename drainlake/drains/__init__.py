"""Drains through Heroku's Platform API: attached, listed, rotated, removed."""
