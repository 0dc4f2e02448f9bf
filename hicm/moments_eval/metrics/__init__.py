"""Statistics per query: overlaps, average precision, highlights."""
