"""The report as one HTML file: what the page shows, its templates, its styles and scripts."""
