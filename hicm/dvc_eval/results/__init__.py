"""What comes of an evaluation: scores, signatures, intervals, comparisons, tables."""
