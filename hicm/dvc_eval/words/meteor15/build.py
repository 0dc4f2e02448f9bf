"""Turns METEOR's data into arrays that are fast to look up.

Arrays of the index (V words, N strings of the table, G pairs of phrase and paraphrase):

``words``, ``prefixes``       uint8        text: the words, one per line; the list of words that keep a full stop
``key``, ``stem_key``         (V,) uint32  METEOR's keys of the word and of its stem
``hash``                      (V,) uint64  the word's hash in the table, see `phrases`
``function``                  (V,) bool    whether it is a function word
``own``, ``own_offsets``      int32        synsets the file lists for the word: own[own_offsets[v]:own_offsets[v + 1]]
``synsets``, ``synset_offsets`` int32      all its synsets, sorted (`synonyms.synset_set`)
``strings``                   (N,) uint64  sorted hashes of all phrases and paraphrases
``buckets``                   int32        where each value of their first bits starts
``begins``                    uint8        one bit for each value of the first bits: whether a string begins so
``block_offsets``             (N + 1,) int32  the paraphrases of string n start at block_offsets[n]
``paraphrases``, ``ranks``    (G,) uint32, uint16  within a block: sorted strings, and their order in the file
"""

import gzip
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from hicm.dvc_eval.words.meteor15.layout import BUCKET_BITS
from hicm.dvc_eval.words.meteor15.loops.phrases import NEW_LINE, scan_table
from hicm.dvc_eval.words.meteor15.stem import stem
from hicm.dvc_eval.words.meteor15.synonyms import parse_exceptions, parse_synsets, synset_set
from hicm.dvc_eval.words.meteor15.words import word_hash, word_key

Arrays = dict[str, np.ndarray]
WORD_SLOTS = 1 << 18
CHUNK = 1 << 24


def build(jar: Path, table: Path) -> Arrays:
    """The index of METEOR's ``jar`` (a zip file) and paraphrase ``table`` (gzip): about 10 s, with a progress bar."""
    with tqdm(total=4, desc="METEOR's data (once)", unit="step") as bar:
        bar.set_postfix_str("reading the paraphrase table")
        text = _decompress(table)
        bar.update()
        bar.set_postfix_str("hashing its phrases")
        hashes, spans, begins = scan_table(text, int(np.count_nonzero(text == NEW_LINE)) // 3, WORD_SLOTS)
        known = [text[start:end].tobytes().decode() for start, end in spans.tolist()]
        del text
        bar.update()
        bar.set_postfix_str("sorting its phrases")
        arrays = _table_arrays(hashes) | {"begins": begins}
        bar.update()
        bar.set_postfix_str("stems and synonyms")
        arrays |= _word_arrays(zipfile.ZipFile(jar), known)
        bar.update()
        return arrays


def _decompress(path: Path) -> np.ndarray:
    with gzip.open(path) as stream:
        return np.frombuffer(b"".join(iter(lambda: stream.read(CHUNK), b"")), dtype=np.uint8)


def _table_arrays(hashes: np.ndarray) -> Arrays:
    """Arrays of the table ``hashes`` (G, 2), in file order, in which the paraphrases of a phrase are consecutive."""
    starts = np.flatnonzero(np.concatenate([[True], hashes[1:, 0] != hashes[:-1, 0]]))
    lengths = np.diff(np.append(starts, len(hashes)))
    both = np.concatenate([hashes[starts, 0], hashes[:, 1]])
    strings, place = np.unique(both, return_inverse=True)
    phrase, paraphrase = place[:len(starts)], place[len(starts):]
    sizes = np.zeros(len(strings), dtype=np.int64)
    sizes[phrase] = lengths
    ranks = np.arange(len(hashes)) - np.repeat(starts, lengths)
    order = np.argsort(np.repeat(phrase, lengths) << 32 | paraphrase)
    bits = np.uint64(64 - BUCKET_BITS)
    buckets = np.searchsorted(strings >> bits, np.arange((1 << BUCKET_BITS) + 1, dtype=np.uint64))
    return {"strings": strings, "buckets": buckets.astype(np.int32), "block_offsets": _offsets(sizes),
            "paraphrases": paraphrase[order].astype(np.uint32), "ranks": ranks[order].astype(np.uint16)}


def _word_arrays(jar: zipfile.ZipFile, table_words: Iterable[str]) -> Arrays:
    own = parse_synsets(jar.read("synonym/english.synsets").decode())
    bases = parse_exceptions(jar.read("synonym/english.exceptions").decode())
    function = set(jar.read("function/english.words").decode().split())
    words = sorted(word for word in {*own, *bases, *function, *table_words} if "_" not in word)  # no token contains one
    own_sets = [sorted(set(own.get(word, ()))) for word in words]
    all_sets = [sorted(synset_set(word, lambda base: own.get(base, ()), bases)) for word in words]
    return {
        "words": np.frombuffer("\n".join(words).encode(), dtype=np.uint8),
        "prefixes": np.frombuffer(jar.read("nonbreaking/english.prefixes"), dtype=np.uint8),
        "key": np.array([word_key(word) for word in words], dtype=np.uint32),
        "stem_key": np.array([word_key(stem(word)) for word in words], dtype=np.uint32),
        "hash": np.array([word_hash(word) for word in words], dtype=np.uint64),
        "function": np.array([word in function for word in words]),
        "own": np.concatenate(own_sets).astype(np.int32), "own_offsets": _offsets([len(s) for s in own_sets]),
        "synsets": np.concatenate(all_sets).astype(np.int32), "synset_offsets": _offsets([len(s) for s in all_sets]),
    }


def _offsets(sizes: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
