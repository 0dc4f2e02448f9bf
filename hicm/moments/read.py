"""Reads annotations and predictions of moments: any known format becomes records, or one clear error line."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from hicm.claims import claims_of, other_formats, own_formats
from hicm.errors import UserError
from hicm.moments import formats
from hicm.moments.records import Annotations, Submission
from hicm.plugins import find_module
from hicm.source import Source, open_source
from hicm.values import kind_of

PARTS = (formats.__name__, "hicm.moment_formats")  # the package of the formats, and the entry points of others
# What content in no format is probably meant to be: objects, a mapping, a table, other text.
NEAREST = {"predictions": ("moment_detr", "by_query", "scored_table", "moment_detr"),
           "annotations": ("qvhighlights", "charades_cg", "windows_table", "charades_sta")}
OPTIONS = {"predictions": "--format", "annotations": "--reference-format", "durations": "--reference-format"}


def sides_of(source: Source) -> set[str]:
    """What content may be, by its format: "predictions", "annotations", "durations"; empty if no format claims it."""
    return {part.SIDE for part in claims_of(source, *PARTS).values()}


def file_formats(path: str) -> dict[str, str]:
    """The formats that a file may be in, and what it is then, as in `sides_of`.  Raises UserError if it is unreadable.
    """
    return {name: part.SIDE for name, part in claims_of(open_source(path, "file", []), *PARTS).items()}


def file_sides(path: str) -> set[str]:
    """What a file may be: "predictions", or "references" for annotations and durations.

    Raises UserError when no format claims it.
    """
    source = open_source(path, "file", [])
    sides = {"predictions" if side == "predictions" else "references" for side in sides_of(source)}
    if not sides:
        raise _unknown(source, "predictions")
    return sides


def read_submission(source: Any, warnings: list[str], format: str = "") -> Submission:
    """What a system predicts, from a path or content in one of the formats, or a `Submission` as it is.

    A format that is not named is told by the content.  Appends to ``warnings``.  Raises UserError naming file and
    query.
    """
    if isinstance(source, Submission):
        return source
    content = open_source(source, "predictions", warnings)
    found: Submission = detect(content, "predictions", format).read(content)
    if not found.predictions:
        raise UserError(f"{content.where}: no predictions; expected at least one query")
    return found


def read_annotations(source: Any, warnings: list[str], format: str = "") -> Annotations:
    """The queries of a split, cleaned, from a path or content, or `Annotations` as they are.

    A list may hold a file of durations as well, which goes with Charades-STA.  Appends to ``warnings``, also what was
    cleaned.  Raises UserError naming file and query.
    """
    if isinstance(source, Annotations):
        return source
    given = list(source) if isinstance(source, Sequence) and not isinstance(source, str) and not _is_rows(source) else [
        source]
    contents = [open_source(one, "annotations" if len(given) == 1 else f"annotations {at}", warnings)
                for at, one in enumerate(given, start=1)]
    extra = [one for one in contents if sides_of(one) == {"durations"}]
    files = [one for one in contents if one not in extra]
    if len(files) != 1 or len(extra) > 1:
        names = ", ".join(one.where for one in contents) or "none"
        raise UserError(f"annotations: {len(files)} annotation files and {len(extra)} files of durations ({names}), "
                        "expected one annotation file, and with Charades-STA the csv table of its videos")
    content = files[0]
    part = detect(content, "annotations", format)
    annotations = _read(part, content, extra, warnings)
    if not annotations.queries:
        raise UserError(f"{content.where}: no queries; expected {part.FORM}")
    warnings += [f"{content.where}: {what}: {count}" for what, count in annotations.counts.items()]
    return annotations


def detect(source: Source, side: str, format: str = "") -> ModuleType:
    """The module of the format that content is in.

    ``side``: "predictions" or "annotations"; ``format``: its name, if the caller knows it.  Raises UserError when there
    is no such format, when the content is not in it, and when several formats, or none, claim the content.
    """
    option, claims = OPTIONS[side], claims_of(source, *PARTS)
    if format:
        part = find_module(*PARTS, format, option, "read")
        if side != part.SIDE or not part.matches(source):
            seen = f"; it looks like {' or '.join(claims)}" if claims else ""
            raise UserError(f"{source.where}: not {side} in the format {format}: {part.FORM}{seen}")
        return part
    own = [name for name, part in claims.items() if side == part.SIDE]
    if len(own) > 1:
        raise UserError(f"{source.where}: may be in the format {' or '.join(own)}; name the right one with {option}")
    if own:
        return claims[own[0]]
    if claims:
        name, part = next(iter(claims.items()))
        raise UserError(f"{source.where}: holds {part.SIDE} (format {name}), expected {side}; are predictions and "
                        "annotations swapped?")
    raise _unknown(source, side)


def _read(part: ModuleType, content: Source, extra: Sequence[Source], warnings: list[str]) -> Annotations:
    if not getattr(part, "NEEDS_DURATIONS", False):
        if extra:
            raise UserError(f"{extra[0].where}: durations of Charades' videos, which {content.where} does not need; "
                            "leave the file out")
        found: Annotations = part.read(content)
        return found
    durations = own_formats(PARTS[0])["charades_durations"].read(extra[0]) if extra else None
    if durations is None:
        warnings.append(f"{content.where}: no durations, so nothing is cleaned by them; name the csv table of Charades "
                        "(Charades_v1_train.csv or _test.csv) after the file to cut ends to the videos")
    made: Annotations = part.read(content, durations)
    return made


def _unknown(source: Source, side: str) -> UserError:
    """The error for content that no format claims: what it is, and what it is probably meant to be."""
    parts = {name: part for name, part in {**own_formats(PARTS[0]), **other_formats(*PARTS)}.items()
             if side == part.SIDE}
    others = f"formats of {side} that are read: {', '.join(parts)} (docs/evaluation.md)"
    rows, mapping, table, line = NEAREST[side]
    if not (source.text.strip() if source.error is not None else source.data):
        return UserError(f"{source.where}: is empty; {others}")
    if source.rows and ("qid" in source.rows[0] or not isinstance(source.data, Mapping)):
        keys = ", ".join(map(repr, list(source.rows[0])[:6])) or "none"
        seen, nearest = f"objects with the keys {keys}, which no format of {side} has", rows
    elif source.error is not None and source.text.lstrip()[:1] in ("{", "["):
        return source.error
    elif source.error is not None:
        first = source.text.strip().partition("\n")[0]
        seen = f"not {side} of moments (first line: {first!r:.60})"
        nearest = table if any(mark in first for mark in ",;\t") else line
    elif isinstance(source.data, Mapping):
        key, value = next(iter(source.data.items()))
        seen = f"a mapping, not {side} of moments (first entry: {key!r:.40}: {value!r:.60})"
        nearest = mapping
    else:
        seen, nearest = f"{kind_of(source.data)}, not {side} of moments", rows
    return UserError(f"{source.where}: {seen}; expected e.g. {parts[nearest].FORM}; {others}")


def _is_rows(content: Sequence[Any]) -> bool:
    """Whether a list is the content of one file, not a list of files."""
    return len(content) > 0 and all(isinstance(row, Mapping) and "qid" in row for row in content)
