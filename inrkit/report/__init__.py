"""What a run shows of itself: sheets, galleries, tables, the report."""
