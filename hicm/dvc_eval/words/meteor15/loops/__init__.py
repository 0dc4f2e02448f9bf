"""METEOR's inner loops, for numba: imported only to be compiled, by `hicm.dvc_eval.words.meteor15.compiled`.

The loops that are cached work on the arrays they are given, allocate none, never raise and return an integer: then
their machine code needs nothing from numba.
"""
