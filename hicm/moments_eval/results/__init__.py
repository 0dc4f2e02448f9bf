"""What comes of an evaluation: scores, signatures, tables, explanations."""
