"""What ``parallel.init`` names, and `hicm convert` takes beside released files: a run or checkpoint folder."""

from pathlib import Path

from hicm.errors import UserError
from hicm.files import require
from hicm.rooms import described_by

DESCRIPTION = "parallel.json"
REMEDY = "give a run folder of 'hicm train' or 'hicm convert'"


def checkpoint_folder(folder: str | Path, prefix: str = "") -> Path:
    """The checkpoint folder that ``folder`` is or holds: itself, ``best`` or ``last``.

    ``prefix`` names the setting, for errors.  Raises UserError when none of them holds a model of this system.
    """
    path = require(folder, f"{prefix}checkpoint", REMEDY)
    if path.is_file():
        raise UserError(f"{prefix}{path}: is a file; convert a released checkpoint first (hicm convert {path} CONFIG "
                        "RUN), and give its run folder")
    found = _checkpoint(path)
    if found is None:
        other = described_by(path) or described_by(path / "best")
        why = f"holds a model of the system {other}" if other else f"no {DESCRIPTION} there, nor in best or last"
        raise UserError(f"{prefix}{path}: {why}; {REMEDY}")
    return found


def start_path(folder: str | Path) -> Path:
    """The same, or ``folder`` itself where there is no model yet."""
    return _checkpoint(Path(folder)) or Path(folder)


def _checkpoint(folder: Path) -> Path | None:
    places = (folder, folder / "best", folder / "last")
    return next((place for place in places if (place / DESCRIPTION).is_file()), None)
