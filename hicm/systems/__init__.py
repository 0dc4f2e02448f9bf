"""Systems: a model with its batches, losses and predictions.  A system may use the core, never another system."""
