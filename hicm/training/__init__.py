"""Training: one loop for all systems.  It knows batches, losses and time, not captions."""
