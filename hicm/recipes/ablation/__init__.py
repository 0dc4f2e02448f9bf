"""What does the memory contribute?  A grid of searches, summarisers and levels, trained or evaluated, in one table."""
