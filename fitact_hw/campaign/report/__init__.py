"""What a campaign found: analysis, charts, pages and published files."""
