"""What the evaluators share: metrics as sums, intervals, paired tests, signatures, tables, output files.

`hicm.dvc_eval` and `hicm.moments_eval` are built on it.  It knows nothing of captions or moments.
"""
