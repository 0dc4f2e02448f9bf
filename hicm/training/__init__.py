"""Training: one loop that knows batches, losses and the clock, not captions."""
