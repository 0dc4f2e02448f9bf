"""``hicm memory ...``: build a memory bank, look at it, change it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from hicm.errors import UserError
from hicm.verbs.common import ConfigFile, Overrides, load_settings

if TYPE_CHECKING:
    from hicm.memory.plan import Plan

BankFolder = Annotated[str, "bank folder"]
Overwrite = Annotated[bool, "replace what is there"]
Json = Annotated[bool, "print json instead of a table"]


def memory_build(config: ConfigFile, *, set_: Overrides = (),
                 source: Annotated[Sequence[str], "captions: splits, <data set>/<split>, .json or .txt files; none: "
                                                  "memory.source"] = (),
                 overwrite: Annotated[bool, "replace a bank made with other settings"] = False,
                 dry_run: Annotated[bool, "embed and cluster, print nodes a level, calls and tokens, and stop"] = False,
                 ) -> "Path | Plan":
    """Build the memory bank: captions -> embeddings -> tree -> a summary for every node; continues a killed build."""
    from hicm.memory.plan import plan_memory
    from hicm.stages.build_memory import build_memory

    settings = load_settings(config, [*set_, *([f"memory.source={list(source)}"] if source else [])])
    return plan_memory(settings) if dry_run else build_memory(settings, overwrite)


def memory_show(bank: BankFolder, *,
                depth: Annotated[int, "levels shown, from the top"] = 2,
                children: Annotated[int, "children shown of each node"] = 3,
                width: Annotated[int, "characters a line"] = 100,
                find: Annotated[str, "show only branches that hold this text"] = "") -> str:
    """Print a memory bank as a tree of summaries."""
    from hicm.memory.show import show_memory

    return show_memory(bank, depth, children, width, find)


def memory_stats(bank: BankFolder, *, json: Json = False) -> str:
    """Count a memory bank: nodes and branching a level, duplicates, summary lengths, and how well nodes cohere."""
    from hicm.memory.stats import bank_stats

    return _told(bank_stats(bank), json)


def memory_search(bank: Annotated[str, "settings file, or bank folder"],
                  text: Annotated[Sequence[str], "what to look for"] = (), *,
                  video: Annotated[str, "look with the windows of this video instead (needs a settings file)"] = "",
                  encoder: Annotated[str, "text encoder of a bank folder, as in memory.encoder; empty: the one it "
                                          "names"] = "",
                  nodes: Annotated[int, "nodes shown a level"] = 5, set_: Overrides = (), json: Json = False) -> str:
    """Show what would be recalled for a text, or for every window of a video."""
    from hicm.config import RetrievalConfig
    from hicm.encoders import make_encoder
    from hicm.memory.bank import read_bank_json
    from hicm.retrieval.lookup import search_text, search_video

    if bool(text) == bool(video):
        raise UserError("memory search: give either a text or --video ID")
    words, folder = " ".join(text), Path(bank)
    if folder.is_dir():
        if video:
            raise UserError(f"{bank}: a video is looked up with a settings file, which knows its features")
        known = encoder or str(read_bank_json(folder)["info"].get("encoder", ""))
        if not encoder and "@" in known:
            raise UserError(f"{bank}: its encoder {known} stands on this machine under a path that the bank does not "
                            "know; give --encoder, or a settings file instead of the folder")
        return _told(search_text(folder, words, RetrievalConfig(), make_encoder(known), nodes), json)
    settings = load_settings(bank, [*set_, *([f"memory.encoder={encoder}"] if encoder else [])])
    if video:
        return _told(search_video(settings, video, nodes), json)
    asked = make_encoder(settings.memory.encoder, settings.offline)
    return _told(search_text(settings.bank, words, settings.retrieval, asked, nodes), json)


def memory_map(bank: BankFolder, *, out: Annotated[str, "page written, with a picture beside it"] = "memory_map.html",
               points: Annotated[int, "captions drawn at most"] = 12000,
               seed: Annotated[int, "of the projection"] = 0) -> Path:
    """Draw a memory bank: a self-contained page with a 2-D map of its captions and its tree, texts on hover."""
    from hicm.report.memory_map import draw_map

    return draw_map(bank, out, points, seed)


def memory_import(source: Annotated[str, "hierarchical_clustering_results_*.pkl, or the folder of a flat .npy bank"],
                  out: Annotated[str, "bank folder written"], *,
                  encoder: Annotated[str, "text encoder that made it, as in memory.encoder (HiCM2, CM2: "
                                          "openclip:ViT-L-14/openai)"] = "",
                  annotations: Annotated[Sequence[str], "the annotation files its captions come from: they tell the "
                                                        "videos"] = (),
                  embed_captions: Annotated[bool, "embed the captions too (a released pickle does not), so that "
                                                  "training can leave a video's own out"] = False,
                  widen: Annotated[bool, "float16 embeddings become float32"] = False,
                  overwrite: Overwrite = False) -> Path:
    """Turn a released memory (HiCM2's pickle, CM2's .npy files) into a bank; nothing in it is run."""
    from hicm.encoders import make_encoder
    from hicm.memory.imports import import_bank

    if embed_captions and not encoder:
        raise UserError("memory import: --embed-captions needs --encoder")
    captions_by = make_encoder(encoder) if embed_captions else None
    return import_bank(source, out, encoder, annotations, widen, overwrite, captions_by)


def memory_export(bank: BankFolder, out: Annotated[str, "file written (cm2: folder)"], *,
                  format: Annotated[str, "json, csv, released (HiCM2's pickle) or cm2 (.npy files)"] = "json") -> Path:
    """Write a memory bank in another form: for reading, for tables, for the published programs."""
    from hicm.memory.exports import export_bank

    return export_bank(bank, out, format)


def memory_merge(out: Annotated[str, "bank folder written"],
                 banks: Annotated[Sequence[str], "bank folders joined, of one encoder"], *,
                 force: Annotated[bool, "join banks whose encoders differ by name or are unknown"] = False,
                 overwrite: Overwrite = False) -> Path:
    """Join memory banks into one, level by level."""
    from hicm.memory.merge import merge_banks

    return merge_banks(banks, out, overwrite, force)


def memory_diff(first: BankFolder, second: BankFolder, *, json: Json = False) -> str:
    """Compare two memory banks: captions, tree, summaries, embeddings."""
    from hicm.memory.diff import diff_banks

    return _told(diff_banks(first, second), json)


def memory_ablate(source: Annotated[str, "settings file: trains every cell; run folder: evaluates its captioner in "
                                         "every cell"], *,
                  out: Annotated[str, "folder written; empty: presave/<data.name>/ablation, or <run>/ablation"] = "",
                  search: Annotated[Sequence[str], "searches; none: none zero random flat top_only descend"] = (),
                  summariser: Annotated[Sequence[str], "who summarises; none: medoid, centroid and the settings' "
                                                       "summariser; own: the settings' bank as it stands"] = (),
                  levels: Annotated[Sequence[str], "levels read: all, top, or numbers as 1 or 1,3; none: all 1 "
                                                   "top"] = (),
                  metrics: Annotated[Sequence[str], "metrics of table and plot; none: CIDEr METEOR soda_c"] = (),
                  samples: Annotated[int, "draws of intervals and tests"] = 1000,
                  seed: Annotated[int, "of the draws"] = 0, set_: Overrides = (),
                  dry_run: Annotated[bool, "build the banks, list the cells, and stop"] = False) -> "Path | str":
    """Compare searches, summarisers and levels: one table with intervals and a plot; run again, it continues."""
    from hicm.recipes.ablation.grid import SEARCHES
    from hicm.recipes.ablation.run import Ablation, run_ablation

    chosen = {"summarisers": tuple(summariser), "levels": tuple(levels), "metrics": tuple(metrics)}
    ablation = Ablation(tuple(search) or SEARCHES, **{name: value for name, value in chosen.items() if value},
                        samples=samples, seed=seed)
    return run_ablation(source, Path(out) if out else None, ablation, set_, dry_run)


def _told(result: Any, as_json: bool) -> str:
    import json

    return json.dumps(result.to_json(), indent=1, ensure_ascii=False) if as_json else str(result)
