"""The README.md of a converted run: what it is, where it is from, how to run it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hicm.config import Config

KINDS = {"hicm2": "HiCM2 (Kim et al., AAAI 2025, arXiv 2412.14585)",
         "vid2seq": "Vid2Seq (Yang et al., CVPR 2023; PyTorch weights of VidChapters)",
         "hicm": "a captioner trained by hicm"}
SHOWN = ("model_name", "combine_datasets", "epochs", "lr", "batch_size", "schedule", "seed", "load", "num_bins",
         "max_feats", "depth", "heads", "mlp_dim", "ret_option", "bank_type", "window_size", "soft_k", "hier_ret_num",
         "hier_use", "ret2t5_proj", "LLM_ver")  # of the training program's arguments: those that make the model


def card(manifest: Mapping[str, Any], config: Config, folder: str) -> str:
    """The card of a run as Markdown; ``manifest`` is that of `convert_checkpoint`, ``folder`` what commands name."""
    source, keys, bank = manifest["source"], manifest["keys"], manifest["bank"]
    captioner, retrieval = config.captioner, config.retrieval
    mode = config.preset or "default"
    rows = {
        "model": KINDS[source["kind"]],
        "source": f"{_code(source['file'])}, {source['bytes']:,} bytes, sha256 {_code(source['sha256'])}",
        "trained until epoch": "not said" if source["epoch"] is None else f"{source['epoch']} (counted from 0)",
        "parameters": f"{keys['parameters']:,} in {keys['used']} tensors, the embedding counted once",
        "left out": ", ".join(map(_code, manifest["dropped"])) or "nothing",
        "text model": f"{_code(captioner.t5)}, {keys['rows']:,} embeddings, {captioner.time_bins} of them time tokens",
        "visual encoder": f"{captioner.visual_depth} layers, {captioner.visual_heads} heads (the weights do not show "
                          f"the number of heads), {config.data.frames} frames" if captioner.use_video else "none",
        "memory": _memory(manifest, bank, config),
        "settings": f"{mode} (`config.yaml`): search {retrieval.search}, {retrieval.windows} windows, "
                    f"{retrieval.top_k} nodes a level, padding {'masked' if captioner.mask_padding else 'attended'}",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    args = {name: manifest["args"][name] for name in SHOWN if name in manifest["args"]}
    trained = "".join(f"| {_code(name)} | {_code(json.dumps(value, ensure_ascii=False))} |\n"
                      for name, value in args.items())
    parts = [f"---\nlibrary_name: hicm\nlicense: other\ntags: [dense-video-captioning]\n---\n\n# {manifest['run']}\n",
             f"| | |\n|---|---|\n{table}\n"]
    if manifest["warnings"]:
        parts.append("Mind:\n\n" + "\n".join(f"- {_text(line)}" for line in manifest["warnings"]) + "\n")
    parts.append(f"## Run\n\n```bash\nhicm predict {folder}\nhicm evaluate {folder}\nhicm report {folder}\n```\n")
    if trained:
        parts.append("## How it was trained\n\nArguments found in the file (all of them are in `manifest.json`):\n\n"
                     f"| argument | value |\n|---|---|\n{trained}")
    parts.append("## Licence\n\nThe weights are their authors'; the terms under which they were published hold for "
                 "this copy of them.\n")
    return "\n".join(parts)


def _memory(manifest: Mapping[str, Any], bank: Mapping[str, Any] | None, config: Config) -> str:
    if bank is None:
        return "none"
    fresh = "projection of random weights, not yet trained; " if manifest["keys"]["fresh"] else ""
    found = f"sha256 {_code(bank['sha256'])}" if bank["sha256"] else "was not there at conversion"
    return (f"{fresh}bank {_code(bank['path'])} ({found}), encoder {_code(config.memory.encoder)}; not part of this "
            "folder")


def _code(text: str | Path) -> str:
    """Inline code in a table, whatever the text holds."""
    return f"`{_text(text).replace('`', chr(39))}`"


def _text(text: str | Path) -> str:
    return " ".join(str(text).replace("|", "/").split())[:300]
