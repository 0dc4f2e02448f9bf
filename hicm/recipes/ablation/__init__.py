"""The contribution of the memory: a grid of searches, summarisers and levels, trained or evaluated, in one table."""
