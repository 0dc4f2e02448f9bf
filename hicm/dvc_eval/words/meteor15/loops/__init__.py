"""METEOR's inner loops, for numba: imported only where they are compiled, by `hicm.dvc_eval.words.meteor15.compiled`.

What is kept compiled works on the arrays that it is given, makes none, raises nothing and returns an integer: then its
machine code needs nothing of numba's.
"""
