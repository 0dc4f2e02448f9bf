"""Whole recipes: straight-line code over the stages.  The demo, the ablation of the memory, a paper's numbers."""
