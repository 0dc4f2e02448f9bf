"""Captions to memory bank: encode, cluster (`hicm.memory.tree`), summarise level by level, save.

A killed build continues: embeddings and partitions are kept in the bank's folder until the bank is written, a language
model's answers for good.
"""

import warnings
from pathlib import Path
from typing import Any

from hicm.config import Config, DataConfig, MemoryConfig
from hicm.data.features import open_features
from hicm.data.pretraining import read_listing
from hicm.encoders import Encoder, make_encoder
from hicm.errors import UserError
from hicm.files import plain, sha256
from hicm.memory.bank import TEXTS, Bank, read_bank_json, save_bank
from hicm.memory.captions import Captions, read_captions
from hicm.memory.hierarchies import describe_hierarchy
from hicm.memory.summarise import count_outcomes, summarise_tree
from hicm.memory.summarisers import make_summariser
from hicm.memory.tree import build_tree, remove_intermediates

OUTCOMES = ("summaries", "neighbour_agreement")  # in a bank's info, but no setting


def build_memory(config: Config, overwrite: bool = False) -> Path:
    """Build the bank that ``config`` describes and return its folder, ``config.bank``.

    Does nothing when the folder already holds a bank of these settings and captions.  Raises UserError when it holds
    another one (unless ``overwrite``), when a caption is blank, or when the encoder or the language model fails.
    Warns when the encoder's vectors are not as wide as the features.
    """
    folder, offline = config.bank, config.offline
    encoder = make_encoder(config.memory.encoder, offline)
    summariser = make_summariser(config.memory.summariser, config.summary, folder, offline)
    captions = read_captions(config.data, config.memory.source)
    info = describe_bank(config.data, config.memory, encoder.name, summariser.name, captions)
    if (folder / TEXTS).exists() and not overwrite:
        refuse_another_bank(folder, info)
        return folder
    _compare_widths(config, encoder)
    tree = build_tree(captions, encoder, config.memory, folder)
    levels, summaries = summarise_tree(tree, summariser, encoder)
    info |= count_outcomes(summaries) | ({} if tree.agreement is None else {"neighbour_agreement": tree.agreement})
    save_bank(Bank(levels, tree.leaves, info), folder)
    remove_intermediates(folder)
    _warn_of_fallbacks(info, len(summaries))
    return folder


def _compare_widths(config: Config, encoder: Encoder) -> None:
    """Warn, before hours are spent, when features are there already that cannot be compared with such a bank."""
    data = config.data
    try:
        listing = next((file for file in data.annotations.get(data.train, []) if file.endswith(".csv")), None)
        width = open_features(data.features, data.feature_fps, read_listing(listing) if listing else None,
                              data.feature_array).width
    except UserError:  # a memory needs no features yet
        return
    if width != encoder.width:
        warnings.warn(f"{data.features}: features are {width} wide and the vectors of memory.encoder="
                      f"{config.memory.encoder} {encoder.width}: no video can read this bank; use the text encoder "
                      "that belongs to the features", stacklevel=3)


def describe_bank(data: DataConfig, memory: MemoryConfig, encoder: str, summariser: str,
                  captions: Captions) -> dict[str, Any]:
    """What decides a bank, as plain data; ``encoder`` and ``summariser`` are their names."""
    held_out = {"held_out": [data.holdout, data.holdout_seed]} if data.holdout else {}
    return plain({"encoder": encoder, "summariser": summariser, "sources": memory.source,
                  "captions": len(captions.texts),
                  "annotations": [{"file": file.name, "sha256": sha256(file)} for file in captions.files],
                  "clustering": describe_hierarchy(memory), **held_out})


def refuse_another_bank(folder: Path, info: dict[str, Any]) -> None:
    """UserError with the differences when the bank in ``folder`` was not made as ``info`` says."""
    found = {key: value for key, value in read_bank_json(folder)["info"].items() if key not in OUTCOMES}
    different = [f"{key}: {found.get(key)!r} there, {info.get(key)!r} here"
                 for key in {**info, **found} if found.get(key) != info.get(key)]
    if different:
        raise UserError(f"{folder}: holds another memory bank ({'; '.join(different)}); choose another memory.path, "
                        "or replace it with --overwrite")


def _warn_of_fallbacks(info: dict[str, Any], nodes: int) -> None:
    if fallbacks := info.get("summaries", {}).get("fallbacks"):
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in fallbacks.items())
        warnings.warn(f"memory: the medoid stands in for the language model's answer in {sum(fallbacks.values()):,} of "
                      f"{nodes:,} nodes ({reasons}); nodes that were not reached are asked for again with --overwrite",
                      stacklevel=3)
