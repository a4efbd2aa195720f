"""Tests of landing, the lake, route templates, PHP joins and retention."""
