"""The record of a converted run: its manifest, and its model card (README.md)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hicm.config import Config, dump_config
from hicm.memory.bank import bank_hash
from hicm.provenance import describe
from hicm.systems.released import Converted, Source


def make_manifest(run: str, source: Source, config: Config, found: Converted) -> dict[str, Any]:
    """The manifest of a converted run: where the weights come from, and what happened to every key."""
    selected = source.parent.get("selected")
    if selected is None and "best" in source.path.stem:  # the checkpoint with the best validation score, as published
        selected = {"metric": found.selected_on, "value": None}
    manifest = describe("convert", run)
    manifest["inputs"] = {str(source.weights): source.sha256} | source.inputs
    about = {"kind": found.kind, "file": source.path.name, "sha256": source.sha256,
             "bytes": source.weights.stat().st_size, "epoch": found.epoch, "parent": source.parent.get("run")}
    return manifest | {
        "source": about | ({"inputs": source.inputs} if source.inputs else {}),
        "selected": selected or "the checkpoint as it was published",
        "keys": found.keys, "dropped": list(found.dropped), "args": found.args, "warnings": found.notes,
        "bank": {"path": str(config.bank), "sha256": bank_hash(config.bank) if config.bank.exists() else None}
        if found.memory_width else None,
        "settings": dump_config(config)}


def make_card(manifest: Mapping[str, Any], config: Config, found: Converted, folder: str) -> str:
    """The model card of a run as Markdown; ``manifest`` comes from `make_manifest`, commands name ``folder``."""
    source, keys, bank = manifest["source"], manifest["keys"], manifest["bank"]
    retrieval = config.retrieval
    rows = {
        "model": found.title,
        "source": f"{_code(source['file'])}, {source['bytes']:,} bytes, sha256 {_code(source['sha256'])}",
        "trained until epoch": "not recorded" if source["epoch"] is None else f"{source['epoch']} (counted from 0)",
        "parameters": f"{keys['parameters']:,} in {keys['used']} tensors, each counted once",
        "left out": ", ".join(map(_code, manifest["dropped"])) or "nothing",
        **found.card,
        "memory": _memory(manifest, bank, config),
        "settings": f"{config.preset or 'default'} (`config.yaml`): search {retrieval.search}, {retrieval.windows} "
                    f"windows, {retrieval.top_k} nodes per level",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    args = {name: manifest["args"][name] for name in found.shown if name in manifest["args"]}
    trained = "".join(f"| {_code(name)} | {_code(json.dumps(value, ensure_ascii=False))} |\n"
                      for name, value in args.items())
    parts = [f"---\nlibrary_name: hicm\nlicense: other\ntags: [{found.tag}]\n---\n\n# {manifest['run']}\n",
             f"| | |\n|---|---|\n{table}\n"]
    if manifest["warnings"]:
        parts.append("Please note:\n\n" + "\n".join(f"- {_text(line)}" for line in manifest["warnings"]) + "\n")
    parts.append(f"## Run\n\n```bash\nhicm predict {folder}   # the path of this folder\n"
                 f"hicm evaluate {folder}\nhicm report {folder}\n```\n")
    if trained:
        parts.append("## How it was trained\n\nArguments of the training program (`manifest.json` has all of them):\n\n"
                     f"| argument | value |\n|---|---|\n{trained}")
    parts.append("## Licence\n\nThe weights belong to their authors; the terms under which they were published apply "
                 "to this copy too.\n")
    return "\n".join(parts)


def _memory(manifest: Mapping[str, Any], bank: Mapping[str, Any] | None, config: Config) -> str:
    if bank is None:
        return "none"
    fresh = "projection with random weights, not yet trained; " if manifest["keys"]["fresh"] else ""
    found = f"sha256 {_code(bank['sha256'])}" if bank["sha256"] else "missing at conversion"
    copied = "copied to `bank/`" if bank["sha256"] else "not part of this folder"
    return (f"{fresh}bank {_code(bank['path'])} ({found}), encoder {_code(config.memory.encoder)}; {copied}")


def _code(text: str | Path) -> str:
    """Inline code that is safe in a Markdown table, for any text."""
    return f"`{_text(text).replace('`', chr(39))}`"


def _text(text: str | Path) -> str:
    return " ".join(str(text).replace("|", "/").split())[:300]
