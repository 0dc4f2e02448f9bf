"""Files that results are written to: checked before anything is scored."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hicm.errors import UserError
from hicm.files import read_json, special
from hicm.outputs import unwritable

Content = Mapping[str, Any]


def check_targets(targets: Mapping[str, Sequence[Path]], kept: Sequence[tuple[str, str | Path]]) -> None:
    """Refuse files that cannot be written, or that would take the place of one another or of a file that is kept.

    ``targets``: the files of each option; ``kept``: others, and what they are.  Raises UserError.
    """
    seen: list[tuple[str, Path]] = []
    for option, paths in targets.items():
        for path in paths:
            for what, other in kept:
                if same_file(path, other):
                    raise UserError(f"{path}: is {what} {other}, which would be lost; choose another {option}")
            for earlier, before in seen:
                if same_file(path, before):
                    raise UserError(f"{path}: {earlier} and {option} would both write it; choose two files")
            seen.append((option, path))
            problem = unwritable(path)
            if problem:
                instead = "; --json prints the scores" if special(path) else ""
                raise UserError(f"{path}: cannot be written ({problem}{instead}); choose another {option}")


def same_file(one: str | Path, two: str | Path) -> bool:
    """Whether two paths lead to one file, by whatever links."""
    with contextlib.suppress(OSError):
        return os.path.samefile(one, two)
    return os.path.realpath(one) == os.path.realpath(two)


def held_scores(path: Path) -> Content | None:
    """What a file of scores holds, or a json table per video; None for any other file."""
    try:
        content = read_json(path, "scores")
    except UserError:
        return None
    return content if isinstance(content, Mapping) and isinstance(content.get("signature"), str) else None


def made_from(content: Content) -> dict[str, Any]:
    """The digests and settings that tell whether two files of scores were made alike, whatever the inputs' names."""
    predictions, references = content.get("predictions"), content.get("references")
    return {"predictions": predictions.get("sha256") if isinstance(predictions, Mapping) else None,
            "references": sorted(map(str, references.values())) if isinstance(references, Mapping) else None,
            "settings": content.get("settings")}


def check_replaced(option: str, path: Path, about: Content, overwrite: bool) -> None:
    """Refuse to replace what was made from other inputs or settings (unless ``overwrite``), or is no result at all.

    ``about``: the inputs and settings, as they stand in a file of scores.  Raises UserError.
    """
    if not path.exists():
        return
    table = path.suffix == ".csv"
    held = None if table else held_scores(path)
    if not _is_table(path) if table else held is None:
        raise UserError(f"{path}: exists and holds no scores; choose another {option}")
    if overwrite:
        return
    if table:
        raise UserError(f"{path}: exists, and a csv table does not say what it was made from; choose another {option}, "
                        "or replace it with --overwrite")
    before, now = made_from(held or {}), made_from(about)
    other = [name for name in now if before[name] != now[name]]
    if other:
        raise UserError(f"{path}: holds scores that were made with other {' and '.join(other)}; choose another "
                        f"{option}, or replace it with --overwrite")


def _is_table(path: Path) -> bool:
    with contextlib.suppress(OSError, UnicodeDecodeError), open(path, encoding="utf-8") as stream:
        return stream.readline().startswith(("video,predictions,", "query,video,"))
    return False
