"""Memory banks: build them, look into them, convert them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from hicm.errors import UserError
from hicm.verbs.common import ConfigFile, Overrides, Overwrite, load_settings, model_path

if TYPE_CHECKING:
    from hicm.memory.plan import Plan

BankFolder = Annotated[str, "bank folder"]
Json = Annotated[bool, "print json instead of a table"]


def memory_build(config: ConfigFile, *, set_: Overrides = (),
                 source: Annotated[Sequence[str], "captions to use: splits, <data set>/<split>, .json or .txt files; "
                                                  "default: memory.source"] = (),
                 overwrite: Annotated[bool, "replace a bank made with other settings"] = False,
                 dry_run: Annotated[bool, "embed and cluster, print nodes per level and the language model's calls and "
                                          "tokens, and stop"] = False) -> "Path | Plan":
    """Build the memory bank of a data set.

    Captions are embedded and clustered into a tree, and every node gets a summary.  An interrupted build continues.
    """
    from hicm.memory.plan import plan_memory
    from hicm.stages.build_memory import build_memory

    settings = load_settings(config, [*set_, *([f"memory.source={list(source)}"] if source else [])])
    return plan_memory(settings) if dry_run else build_memory(settings, overwrite)


def memory_show(bank: BankFolder, *,
                depth: Annotated[int, "levels shown, from the top"] = 2,
                children: Annotated[int, "children shown per node"] = 3,
                width: Annotated[int, "characters per line"] = 100,
                find: Annotated[str, "show only branches that contain this text"] = "") -> str:
    """Print a memory bank as a tree.

    Each node is shown by its summary.
    """
    from hicm.memory.show import show_memory

    return show_memory(bank, depth, children, width, find)


def memory_search(bank: Annotated[str, "settings file, or bank folder"],
                  text: Annotated[Sequence[str], "text to look up"] = (), *,
                  video: Annotated[str, "look up every window of this video instead (needs a settings file)"] = "",
                  encoder: Annotated[str, "text encoder for a bank folder, as in memory.encoder; default: the one that "
                                          "the bank names"] = "",
                  nodes: Annotated[int, "nodes shown per level"] = 5, set_: Overrides = (), json: Json = False) -> str:
    """Show what the memory recalls for a text or a video.

    The search is that of the settings; a video is answered window by window.
    """
    from hicm.config import RetrievalConfig
    from hicm.encoders import make_encoder
    from hicm.memory.bank import read_bank_json
    from hicm.retrieval.lookup import search_text, search_video

    if bool(text) == bool(video):
        raise UserError("memory search: give either a text or --video ID")
    words, folder = " ".join(text), Path(bank)
    if folder.is_dir():
        if video:
            raise UserError(f"{bank}: --video needs the features; give a settings file in place of the bank folder")
        known = encoder or str(read_bank_json(folder)["info"].get("encoder", ""))
        if not encoder and "@" in known:
            raise UserError(f"{bank}: the bank does not record the path of its encoder {known} on this machine; give "
                            "--encoder, or a settings file in place of the folder")
        return _as_text(search_text(folder, words, RetrievalConfig(), make_encoder(known), nodes), json)
    settings = load_settings(bank, [*set_, *([f"memory.encoder={encoder}"] if encoder else [])])
    if video:
        return _as_text(search_video(settings, video, nodes), json)
    chosen = make_encoder(settings.memory.encoder, settings.offline)
    return _as_text(search_text(settings.bank, words, settings.retrieval, chosen, nodes), json)


def memory_stats(bank: BankFolder, *, json: Json = False) -> str:
    """Measure a memory bank.

    Nodes and branching per level, duplicates, lengths of summaries, and how coherent the nodes are.
    """
    from hicm.memory.stats import bank_stats

    return _as_text(bank_stats(bank), json)


def memory_map(bank: BankFolder, *,
               out: Annotated[str, "page to write; a picture is written beside it"] = "memory_map.html",
               points: Annotated[int, "largest number of captions drawn"] = 12000,
               seed: Annotated[int, "seed of the projection"] = 0) -> Path:
    """Draw a memory bank as a page.

    It is self-contained: the captions in two dimensions and the tree, with texts on hover.
    """
    from hicm.report.memory_map import draw_map

    return draw_map(bank, out, points, seed)


def memory_ablate(source: Annotated[str, "settings file: train every cell; run folder or hub:owner/name: evaluate its "
                                         "captioner in every cell"], *,
                  out: Annotated[str, "folder to write; default: presave/<data.name>/ablation, or <run>/ablation"] = "",
                  search: Annotated[Sequence[str], "searches; default: none zero random flat top_only descend"] = (),
                  summariser: Annotated[Sequence[str], "summarisers; default: medoid, centroid and that of the "
                                                       "settings; own: the bank of the settings as it is"] = (),
                  levels: Annotated[Sequence[str], "levels to read: all, top, or numbers as 1 or 1,3 (0: "
                                                   "captions); default: all 1 top"] = (),
                  metrics: Annotated[Sequence[str], "metrics of table and plot; default: CIDEr METEOR soda_c"] = (),
                  samples: Annotated[int, "samples of intervals and tests"] = 1000,
                  seed: Annotated[int, "seed of the samples"] = 0, set_: Overrides = (),
                  dry_run: Annotated[bool, "build the banks, list the cells, and stop"] = False) -> "Path | str":
    """Measure what the memory contributes.

    Searches, summarisers and levels are compared in one table with intervals, and in a plot.  Run again, it continues.
    """
    from hicm.recipes.ablation.grid import SEARCHES
    from hicm.recipes.ablation.run import Ablation, run_ablation

    chosen = {"summarisers": tuple(summariser), "levels": tuple(levels), "metrics": tuple(metrics)}
    ablation = Ablation(tuple(search) or SEARCHES, samples=samples, seed=seed,
                        **{name: value for name, value in chosen.items() if value})
    return run_ablation(model_path(source), Path(out) if out else None, ablation, set_, dry_run)


def memory_import(source: Annotated[str, "hierarchical_clustering_results_*.pkl, or the folder of a flat .npy bank"],
                  out: Annotated[str, "bank folder to write"], *,
                  encoder: Annotated[str, "text encoder that made the embeddings, as in memory.encoder (HiCM2, CM2: "
                                          "openclip:ViT-L-14/openai)"] = "",
                  annotations: Annotated[Sequence[str], "annotation files that its captions come from: they give the "
                                                        "videos"] = (),
                  embed_captions: Annotated[bool, "embed the captions too (a released pickle lacks this), so that "
                                                  "training can leave out a video's own"] = False,
                  widen: Annotated[bool, "convert float16 embeddings to float32"] = False,
                  overwrite: Overwrite = False) -> Path:
    """Turn a released memory into a memory bank.

    HiCM2's pickle or CM2's .npy files; no code in them is run.
    """
    from hicm.encoders import make_encoder
    from hicm.memory.imports import import_bank

    if embed_captions and not encoder:
        raise UserError("memory import: --embed-captions needs --encoder")
    captions_by = make_encoder(encoder) if embed_captions else None
    return import_bank(source, out, encoder, annotations, widen, overwrite, captions_by)


def memory_export(bank: BankFolder, out: Annotated[str, "file to write (cm2: folder)"], *,
                  format: Annotated[str, "json, csv, released (HiCM2's pickle) or cm2 (.npy files)"] = "json",
                  overwrite: Overwrite = False) -> Path:
    """Write a memory bank in another format.

    For reading, for tables, or for the published programs.
    """
    from hicm.memory.exports import export_bank

    return export_bank(bank, out, format, overwrite)


def memory_merge(out: Annotated[str, "bank folder to write"],
                 banks: Annotated[Sequence[str], "bank folders, all of one encoder"], *,
                 force: Annotated[bool, "merge banks whose encoders have different or unknown names"] = False,
                 overwrite: Overwrite = False) -> Path:
    """Merge memory banks into one.

    They are merged level by level.
    """
    from hicm.memory.merge import merge_banks

    return merge_banks(banks, out, overwrite, force)


def memory_diff(first: BankFolder, second: BankFolder, *, json: Json = False) -> str:
    """Compare two memory banks.

    Captions, tree, summaries and embeddings.
    """
    from hicm.memory.diff import diff_banks

    return _as_text(diff_banks(first, second), json)


def _as_text(result: Any, as_json: bool) -> str:
    import json

    return json.dumps(result.to_json(), indent=1, ensure_ascii=False) if as_json else str(result)
