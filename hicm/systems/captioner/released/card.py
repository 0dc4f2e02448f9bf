"""The record of a converted run: its manifest, its notes, and its model card (README.md)."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hicm.config import Config, dump_config
from hicm.memory.bank import bank_hash
from hicm.provenance import describe
from hicm.systems.captioner.model import Captioner
from hicm.systems.captioner.released.checkpoint import Checkpoint
from hicm.systems.captioner.released.compatibility import MEMORY, compare_args, has_memory
from hicm.systems.captioner.settings import PRESETS

KINDS = {"hicm2": "HiCM2 (Kim et al., AAAI 2025, arXiv 2412.14585)",
         "vid2seq": "Vid2Seq (Yang et al., CVPR 2023; PyTorch weights of VidChapters)",
         "hicm": "a captioner trained by hicm"}
SHOWN = ("model_name", "combine_datasets", "epochs", "lr", "batch_size", "schedule", "seed", "load", "num_bins",
         "max_feats", "depth", "heads", "mlp_dim", "ret_option", "bank_type", "window_size", "soft_k", "hier_ret_num",
         "hier_use", "ret2t5_proj", "LLM_ver")  # arguments of the training program that the card lists


@dataclass(frozen=True)
class Source:
    """A checkpoint on disk: a released .pth, or a checkpoint folder of hicm."""

    path: Path  # the file or the checkpoint folder
    weights: Path  # the file that holds the weights
    about: dict[str, Any]  # captioner.json of a checkpoint folder; empty for a released file
    parent: dict[str, Any]  # manifest of the run it is part of; empty: none
    sha256: str  # of the weights

    @property
    def ours(self) -> bool:
        """Whether hicm wrote it."""
        return self.path.is_dir()


def make_notes(source: Source, content: Checkpoint, config: Config, missing: list[str]) -> list[str]:
    """What the user should know, one line each; ``missing`` are the names that the file lacks."""
    notes = compare_args(content.args, config, has_memory(content.state))
    own = source.about.get("settings")
    if isinstance(own, dict):
        ours = asdict(config.room)
        notes += [f"trained with captioner.{name}={own[name]}, now captioner.{name}={value}"
                  for name, value in ours.items()
                  if name not in ("init", "objective", "decode") and name in own and own[name] != value]
    elif not source.ours:
        notes += _unlike_released(config, has_memory(content.state))
    if missing:
        notes.append("its memory projection has random weights; train it before you trust its captions")
    return notes


def _unlike_released(config: Config, memory: bool) -> list[str]:
    """The settings by which this model treats its input differently from the program that trained its weights."""
    preset, ours = PRESETS["released"], dump_config(config)
    others = [f"{section}.{key}={value} (here {ours[section][key]})"
              for section in ("captioner", *(("retrieval",) if memory else ()))
              for key, value in preset[section].items()
              if key != "leave_own_out" and not isinstance(value, dict) and ours[section][key] != value]
    if not others:
        return []
    return [f"the published program has {', '.join(others)}; --set preset=released behaves the same"]


def make_manifest(run: str, source: Source, config: Config, content: Checkpoint, model: Captioner,
                  notes: list[str]) -> dict[str, Any]:
    """The manifest of a converted run: where the weights come from, and what happened to every key."""
    memory = model.memory_projection is not None
    kind = "hicm" if source.ours else "hicm2" if has_memory(content.state) else "vid2seq"
    own = set(model.state_dict())
    fresh = sorted(name for name in own if name.startswith(MEMORY) and name not in content.state)
    selected = source.parent.get("selected")
    if selected is None and source.path.stem.startswith("best"):  # the released file with the best validation score
        selected = {"metric": config.train.select_on, "value": None}
    manifest = describe("convert", run)
    manifest["inputs"] = {str(source.weights): source.sha256}
    return manifest | {
        "source": {"kind": kind, "file": source.path.name, "sha256": source.sha256,
                   "bytes": source.weights.stat().st_size, "epoch": content.epoch,
                   "parent": source.parent.get("run")},
        "selected": selected or "the checkpoint as it was published",
        "keys": {"used": len(content.state), "rows": model.t5.config.vocab_size,
                 "parameters": sum(value.numel() for value in content.state.values()), "tied": list(content.tied),
                 "fresh": fresh, "renamed": content.renamed},
        "dropped": list(content.dropped), "args": content.args, "warnings": notes,
        "bank": {"path": str(config.bank), "sha256": bank_hash(config.bank) if config.bank.exists() else None}
        if memory else None,
        "settings": dump_config(config)}


def make_card(manifest: Mapping[str, Any], config: Config, folder: str) -> str:
    """The model card of a run as Markdown; ``manifest`` comes from `make_manifest`, commands name ``folder``."""
    source, keys, bank = manifest["source"], manifest["keys"], manifest["bank"]
    captioner, retrieval = config.room, config.retrieval
    mode = config.preset or "default"
    rows = {
        "model": KINDS[source["kind"]],
        "source": f"{_code(source['file'])}, {source['bytes']:,} bytes, sha256 {_code(source['sha256'])}",
        "trained until epoch": "not recorded" if source["epoch"] is None else f"{source['epoch']} (counted from 0)",
        "parameters": f"{keys['parameters']:,} in {keys['used']} tensors, the embedding counted once",
        "left out": ", ".join(map(_code, manifest["dropped"])) or "nothing",
        "text model": f"{_code(captioner.t5)}, {keys['rows']:,} embeddings, {captioner.time_bins} of them time tokens",
        "visual encoder": f"{captioner.visual_depth} layers, {captioner.visual_heads} heads (a setting, not "
                          f"visible in the weights), {config.data.frames} frames" if captioner.use_video else "none",
        "memory": _memory(manifest, bank, config),
        "settings": f"{mode} (`config.yaml`): search {retrieval.search}, {retrieval.windows} windows, "
                    f"{retrieval.top_k} nodes per level, padding {'masked' if captioner.mask_padding else 'attended'}",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    args = {name: manifest["args"][name] for name in SHOWN if name in manifest["args"]}
    trained = "".join(f"| {_code(name)} | {_code(json.dumps(value, ensure_ascii=False))} |\n"
                      for name, value in args.items())
    parts = [f"---\nlibrary_name: hicm\nlicense: other\ntags: [dense-video-captioning]\n---\n\n# {manifest['run']}\n",
             f"| | |\n|---|---|\n{table}\n"]
    if manifest["warnings"]:
        parts.append("Please note:\n\n" + "\n".join(f"- {_text(line)}" for line in manifest["warnings"]) + "\n")
    parts.append(f"## Run\n\n```bash\nhicm predict {folder}   # the path of this folder\n"
                 f"hicm evaluate {folder}\nhicm report {folder}\n```\n")
    if trained:
        parts.append("## How it was trained\n\nArguments in the file (`manifest.json` has all of them):\n\n"
                     f"| argument | value |\n|---|---|\n{trained}")
    parts.append("## Licence\n\nThe weights belong to their authors; the terms under which they were published apply "
                 "to this copy too.\n")
    return "\n".join(parts)


def _memory(manifest: Mapping[str, Any], bank: Mapping[str, Any] | None, config: Config) -> str:
    if bank is None:
        return "none"
    fresh = "projection with random weights, not yet trained; " if manifest["keys"]["fresh"] else ""
    found = f"sha256 {_code(bank['sha256'])}" if bank["sha256"] else "missing at conversion"
    return (f"{fresh}bank {_code(bank['path'])} ({found}), encoder {_code(config.memory.encoder)}; not part of this "
            "folder")


def _code(text: str | Path) -> str:
    """Inline code that is safe in a Markdown table, for any text."""
    return f"`{_text(text).replace('`', chr(39))}`"


def _text(text: str | Path) -> str:
    return " ".join(str(text).replace("|", "/").split())[:300]
