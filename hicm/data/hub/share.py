"""Our model folders to and from the Hugging Face hub: only files that are data, never a pickle.

A model folder is a run (config.yaml, manifest.json, bank/, best/ or last/ with the model) or a model alone (its
description <system>.json, model.safetensors where it has weights, tokenizer/).  Predictions, recalled vectors, journals
and the optimiser's state are not shared.
"""

import os
import re
import shutil
from pathlib import Path
from typing import Any

from hicm.data.hub.net import endpoint, explained
from hicm.data.hub.records import digest_file
from hicm.errors import UserError
from hicm.files import write_json
from hicm.rooms import model_files, room_names

BANK = ("bank/bank.json", "bank/bank.npz", "bank/mean_frame.json")
ABOUT = ("README.md", "config.yaml", "manifest.json")
TOKENIZER = (".json", ".txt", ".model")  # .model: SentencePiece
FETCHED = ["*.json", "*.yaml", "*.safetensors", "*.txt", "*.md", "*tokenizer/*.model", "bank/*.npz"]


def pull(repository: str, out: str | Path, revision: str = "main") -> Path:
    """Fetch the model in a hub repository into the new folder ``out``; ``pulled.json`` there names the commit.

    Weights are compared with the hub's sha256.  Raises UserError when ``out`` is not empty, when the repository holds
    no model of ours, or when the hub cannot be reached; ``out`` is then not created, and the same call continues.
    """
    from huggingface_hub import HfApi, snapshot_download

    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: already exists; remove it, or choose another folder")
    _refuse_no_name(repository)
    page = _page(repository)
    with explained(repository, repository, page, page):
        found = HfApi(endpoint=endpoint()).model_info(repository, revision=revision, files_metadata=True)
    files = {sibling.rfilename: sibling for sibling in found.siblings or ()}
    if _place(files) is None:
        raise UserError(f"{repository}: holds no model of ours (a description such as captioner.json, with "
                        "its weights); released .pth files come with 'hicm download'")
    leading_out = [name for name in files if name.startswith("/") or ".." in name.split("/")]
    if leading_out:
        raise UserError(f"{repository}: {leading_out[0]} leads out of the folder; do not use this repository")
    if found.sha is None:
        raise UserError(f"{repository}: the hub does not say which commit {revision} is; try again later")
    staging = out.absolute().with_name(f".{out.absolute().name}.{found.sha[:12]}.part")
    with explained(repository, repository, page, page):
        snapshot_download(repository, revision=found.sha, local_dir=staging, allow_patterns=FETCHED,
                          endpoint=endpoint())
    shutil.rmtree(staging / ".cache", ignore_errors=True)
    digests = {path.relative_to(staging).as_posix(): digest_file(path)
               for path in sorted(staging.rglob("*")) if path.is_file()}
    if _place(digests) is None:
        raise UserError(f"{repository}: its model has files of a kind that is not fetched (weights other than "
                        ".safetensors); ask its authors for those")
    for name, known in digests.items():
        large = files[name].lfs if name in files else None
        expected = large.sha256 if large is not None else ""
        if not known.matches(expected):
            (staging / name).unlink()
            raise UserError(f"{repository}: {name} arrived damaged (sha256 {known.sha256[:12]}..., the hub says "
                            f"{expected[:12]}...); run the same command again")
    write_json(staging / "pulled.json", {"repository": repository, "revision": found.sha,
                                         "sha256": {name: known.sha256 for name, known in digests.items()}})
    if out.exists():
        out.rmdir()
    staging.replace(out)
    return out


def pull_once(name: str) -> Path:
    """The folder of ``owner/name`` or ``owner/name@revision``, fetched to presave/hub unless it is there."""
    repository, _, revision = name.partition("@")
    out = Path("presave/hub") / name.replace("/", "--")
    return out if (out / "pulled.json").exists() else pull(repository, out, revision or "main")


def push(run: str | Path, repository: str, revision: str = "main", private: bool = False,
         dry_run: bool = False) -> str:
    """Upload a model folder to a hub repository, created if needed; returns what was uploaded and its page.

    The token is that of huggingface_hub (HF_TOKEN, or 'hf auth login'); it is never written.  Raises UserError when
    ``run`` is not a model folder, or when the hub refuses.
    """
    from huggingface_hub import HfApi, get_token

    _refuse_no_name(repository)
    folder = Path(run)
    files = shared_files(folder)
    size = sum((folder / name).stat().st_size for name in files)
    listed = "\n".join([*files, f"{len(files)} files, {size / 1e6:.1f} MB"])
    if dry_run:
        return f"{listed} would go to {_page(repository)}, revision {revision}"
    if not get_token():
        raise UserError("push: no token for the Hugging Face hub; log in with 'hf auth login', or set HF_TOKEN")
    api, page = HfApi(endpoint=endpoint()), _page(repository)
    with explained(f"push {run}", repository, page, page):
        api.create_repo(repository, private=private, exist_ok=True)
        if revision != "main":
            api.create_branch(repository, branch=revision, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder, allow_patterns=files, revision=revision,
                          commit_message=f"Model {folder.absolute().name}")
    return f"{listed}\n{page}, revision {revision}"


def shared_files(folder: Path) -> list[str]:
    """The files of a model folder that are shared, relative to it.  Raises UserError if it is not one."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give a run folder that 'hicm train' wrote")
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    place = _place(there)
    if place is None or (place and not {"config.yaml", "manifest.json"} <= there):
        raise UserError(f"{folder}: is not a run (config.yaml, manifest.json, best/ with a description such as "
                        "captioner.json); give a run folder that 'hicm train' wrote")
    own = [name for name in (*ABOUT, *BANK) if name in there]
    own += [place + name for names in _models(there, place) for name in names]
    return own + sorted(name for name in there if os.path.dirname(name) == f"{place}tokenizer"
                        and name.endswith(TOKENIZER))


def _place(files: Any) -> str | None:
    """The prefix of a complete model among file names: '', 'best/' or 'last/'; None when there is none."""
    return next((place for place in ("", "best/", "last/") for names in _models(files, place)
                 if all(place + name in files for name in names)), None)


def _models(files: Any, place: str) -> list[tuple[str, ...]]:
    """The files of each saved model whose description is among ``files`` at ``place``."""
    return [(f"{name}.json", *model_files(name)) for name in room_names() if f"{place}{name}.json" in files]


def _refuse_no_name(repository: str) -> None:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise UserError(f"{repository}: expected owner/name, a model repository of the Hugging Face hub")


def _page(repository: str) -> str:
    return f"{endpoint() or 'https://huggingface.co'}/{repository}"
