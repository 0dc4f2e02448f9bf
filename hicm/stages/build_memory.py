"""Captions to memory bank: encode, cluster (`hicm.memory.tree`), summarise level by level, save.

A killed build continues: embeddings and partitions are kept in the bank's folder until the bank is written, a language
model's answers for good.
"""

import warnings
from pathlib import Path
from typing import Any

from hicm.config import Config, DataConfig, MemoryConfig
from hicm.encoders import make_encoder
from hicm.errors import UserError
from hicm.files import plain, sha256
from hicm.locks import holding
from hicm.memory.bank import TEXTS, Bank, read_bank_json, save_bank
from hicm.memory.captions import Captions, read_captions
from hicm.memory.encoding import check_encoder
from hicm.memory.hierarchies import describe_hierarchy
from hicm.memory.summarise import count_outcomes, summarise_tree
from hicm.memory.summarisers import make_summariser
from hicm.memory.summarisers.language import UNREACHED, LanguageModel
from hicm.memory.tree import build_tree, remove_intermediates
from hicm.rooms import memory_need

OUTCOMES = ("summaries", "neighbour_agreement")  # in a bank's info, but no setting


def build_memory(config: Config, overwrite: bool = False) -> Path:
    """Build the bank that ``config`` describes and return its folder, ``config.bank``.

    Does nothing when the folder already holds a bank of these settings and captions.  Raises UserError when it holds
    another one (unless ``overwrite``), when another build is writing there, when a caption is blank, when the encoder
    does not fit the features, or when the encoder or the language model fails.
    """
    folder, offline = config.bank, config.offline
    encoder = make_encoder(config.memory.encoder, offline)
    summariser = make_summariser(config.memory.summariser, config.summary, folder, offline)
    captions = read_captions(config.data, config.memory.source)
    info = describe_bank(config.data, config.memory, encoder.name, summariser.name, captions)
    if (folder / TEXTS).exists() and not overwrite:
        refuse_another_bank(folder, info)
        return folder
    check_encoder(encoder, config.data, captions.texts[0], isinstance(summariser, LanguageModel),
                  memory_need(config) != "sentences")
    with holding(folder / ".lock", "hicm memory build"):
        if (folder / TEXTS).exists() and not overwrite:  # another build has finished in the meantime
            refuse_another_bank(folder, info)
            return folder
        summariser = make_summariser(config.memory.summariser, config.summary, folder, offline)  # with its answers
        tree = build_tree(captions, encoder, config.memory, folder)
        levels, summaries = summarise_tree(tree, summariser, encoder)
        why = summariser.why_unreached if isinstance(summariser, LanguageModel) else ""
        counts = count_outcomes(summaries)
        _refuse_silence(counts.get("summaries", {}), summariser.name, why)
        info |= counts | ({} if tree.agreement is None else {"neighbour_agreement": tree.agreement})
        save_bank(Bank(levels, tree.leaves, info), folder)
        remove_intermediates(folder)
    _warn_of_answers(info, len(summaries), why)
    return folder


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


def _refuse_silence(counts: dict[str, Any], summariser: str, why: str) -> None:
    """UserError when a language model was asked and reached for no node at all."""
    fallbacks = counts.get("fallbacks", {})
    if fallbacks.keys() == {UNREACHED} and not counts["answered"]:
        raise UserError(f"memory.summariser: {summariser}: no answer for any of {fallbacks[UNREACHED]:,} nodes ({why});"
                        " fix the cause and run the same command again")


def _warn_of_answers(info: dict[str, Any], nodes: int, why: str) -> None:
    counts = info.get("summaries", {})
    fallbacks, cleaned = counts.get("fallbacks", {}), counts.get("cleaned", {})
    said = []
    if fallbacks:
        again = (f"; nodes that were not reached{f' ({why})' if why else ''} are asked for again with --overwrite"
                 if UNREACHED in fallbacks else "")
        said.append(f"the medoid stands in for the language model's answer in {sum(fallbacks.values()):,} of {nodes:,} "
                    f"nodes ({_listed(fallbacks)}){again}")
    if cleaned:
        said.append(f"removed around the language model's answers: {_listed(cleaned)}")
    if said:
        warnings.warn(f"memory: {'. '.join(said)}", stacklevel=3)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{kind}: {count:,}" for kind, count in counts.items())
