"""METEOR 1.5 for English, normalised, without Java: the same statistics and scores as the jar.

Michael Denkowski and Alon Lavie, "Meteor Universal: Language Specific Translation Evaluation for Any Target
Language", WMT 2014.  A candidate (1) is compared with a reference (2) in these steps, one file each: `normalise` into
tokens, `words` and `phrases` as integers, `match` (exact, `stem`, `synonyms`, paraphrase), `align`, `score`.
METEOR's data come from the installed package pycocoevalcap (`index`, `build`).  The inner loops are in `loops`;
`compiled` has numba compile them and caches the machine code (`cache`).
"""

from hicm.dvc_eval.words.meteor15.native import NativeMeteor

__all__ = ["NativeMeteor"]
