"""METEOR 1.5 for English, normalised, without Java: the jar's statistics and scores.

Michael Denkowski and Alon Lavie, "Meteor Universal: Language Specific Translation Evaluation for Any Target
Language", WMT 2014.  A candidate (1) is compared with a reference (2) in these steps, one file each: `normalise` into
tokens, `words` and `phrases` as integers, `match` (exact, `stem`, `synonyms`, paraphrase), `align`, `score`.
METEOR's data are those of the installed package pycocoevalcap (`index`, `build`).  Inner loops stand in `loops`;
`compiled` has numba compile them and keeps the machine code.
"""

from hicm.dvc_eval.words.meteor15.native import NativeMeteor

__all__ = ["NativeMeteor"]
