"""Recipes, straight-line code over the stages: the demo, the ablation of the memory, reproducing a paper."""
