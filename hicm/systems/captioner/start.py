"""What ``captioner.init`` names: a released .pth, a checkpoint folder of hicm, or a run folder that holds one."""

from pathlib import Path

from hicm.errors import UserError
from hicm.rooms import described_by

DESCRIPTION = "captioner.json"
_REMEDY = "give a run folder of 'hicm train' or 'hicm convert', or a released .pth"


def checkpoint_folder(folder: str | Path) -> Path:
    """The checkpoint folder that ``folder`` is or holds: itself, ``best`` or ``last``.

    Raises UserError when none of them is one.
    """
    folder = Path(folder)
    found = _checkpoint(folder)
    if found is None:
        raise UserError(f"{folder}: {_description(folder)}; {_REMEDY}")
    return found


def start_path(init: str) -> Path:
    """The file or checkpoint folder whose weights a training starts from."""
    return _checkpoint(Path(init)) or Path(init)


def refuse_no_start(path: str | Path, prefix: str = "") -> None:
    """UserError that says what to give instead when ``path`` is there but holds no captioner.

    The content of a .pth is not read here.  ``prefix`` names the setting that names the path, for errors.
    """
    path = Path(path)
    if path.is_file() and path.suffix == ".safetensors":
        raise UserError(f"{prefix}{path}: give the folder it lies in, which must hold {DESCRIPTION} and tokenizer too; "
                        "a T5 of Hugging Face goes into captioner.t5")
    if path.is_file() and path.name == "checkpoint.pt" and (path.parent / "manifest.json").is_file():
        raise UserError(f"{prefix}{path}: the state of a training, from which that training continues; give its run "
                        f"folder, {path.parent}, to start from its weights")
    if path.is_dir() and _checkpoint(path) is None:
        raise UserError(f"{prefix}{path}: {_description(path)}; {_REMEDY}")


def _checkpoint(folder: Path) -> Path | None:
    places = (folder, folder / "best", folder / "last")
    return next((place for place in places if (place / DESCRIPTION).is_file()), None)


def _description(folder: Path) -> str:
    """What a folder is that holds no captioner."""
    other = described_by(folder) or described_by(folder / "best")
    if other:
        return f"holds a model of the system {other}, not a captioner"
    if folder.is_dir() and not any(folder.iterdir()):
        return f"no {DESCRIPTION} there, the folder is empty"
    if (folder / "manifest.json").is_file():
        return "a run without a checkpoint yet"
    if (folder / "config.json").is_file():
        return "a model of Hugging Face, which goes into captioner.t5"
    return f"no {DESCRIPTION} there, nor in best or last"
