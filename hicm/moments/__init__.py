"""Moments of a video that a sentence describes: records, file formats, cleaning of annotations, windows.

Needs no torch.  Used by the evaluator (`hicm.moments_eval`) and by systems that are trained on moments.
"""
