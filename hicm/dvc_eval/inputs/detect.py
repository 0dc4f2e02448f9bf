"""Tells by its content which format a file is in."""

from collections.abc import Mapping
from types import ModuleType

from hicm.claims import claims_of, other_formats, own_formats
from hicm.dvc_eval.inputs import formats
from hicm.dvc_eval.inputs.formats.results import is_list
from hicm.errors import UserError
from hicm.plugins import find_module
from hicm.source import Source, open_source
from hicm.values import kind_of

PARTS = (formats.__name__, "hicm.formats")  # the package of the formats, and the entry points of others
OPTIONS = {"predictions": "--format", "references": "--reference-format"}
OWN = {"predictions": "results", "references": "annotations"}  # the format of each side that this project writes
SWAPPED = {"predictions": "this is an annotation file, expected predictions with the key 'results'; are predictions "
                          "and references swapped?",
           "references": "this is a predictions file, expected annotations {id: {'duration', 'timestamps', "
                         "'sentences'}}; are predictions and references swapped?"}


def detect(source: Source, side: str, format: str = "") -> ModuleType:
    """The module of the format that content is in.

    ``side``: "predictions" or "references"; ``format``: its name, if the caller knows it.  Raises UserError when there
    is no such format, when the content is not in it, and when several formats, or none, claim the content.
    """
    option = OPTIONS[side]
    if format:
        part = find_module(*PARTS, format, option, "read")
        if not part.matches(source):
            claims = claims_of(source, *PARTS)
            seen = f"; it looks like {' or '.join(claims)}" if claims else ""
            raise UserError(f"{source.where}: not in the format {format}: {part.FORM}{seen}")
        return part
    claims = claims_of(source, *PARTS)
    own = [name for name, part in claims.items() if getattr(part, "SIDE", side) == side]
    if len(own) > 1:
        raise UserError(f"{source.where}: may be in the format {' or '.join(own)}; name the right one with {option}")
    if own:
        return claims[own[0]]
    if claims and source.data != {}:
        raise UserError(f"{source.where}: {SWAPPED[side]}")
    return _undetected(source, side)


def sides_of(path: str) -> set[str]:
    """What a file may be, by its format: "predictions", "references", or either.

    Raises UserError when no format claims it.
    """
    source = open_source(path, "file", [])
    claims = [getattr(part, "SIDE", "") for part in claims_of(source, *PARTS).values()]
    if not claims:
        raise source.error or UserError(f"{path}: expected predictions or annotations, a json object by video id or "
                                        "another known format")
    return {"predictions", "references"} if "" in claims else set(claims)


def _undetected(source: Source, side: str) -> ModuleType:
    """The reader of this project's own format, where it says best what is wrong; else UserError."""
    others = f"formats that are read: {', '.join([*own_formats(PARTS[0]), *other_formats(*PARTS)])}"
    if source.rows and not isinstance(source.data, Mapping):
        keys = ", ".join(map(repr, list(source.rows[0])[:6])) or "none"
        raise UserError(f"{source.where}: objects with the keys {keys}, which no format of {side} has; {others}")
    if source.error is not None:
        raise source.error
    if not isinstance(source.data, Mapping):
        raise UserError(f"{source.where}: expected a json object by video id, found {kind_of(source.data)}; {others}")
    if side == "references" and not source.data:
        raise UserError(f"{source.where}: no videos; expected {{id: {{'duration', 'timestamps', 'sentences'}}}}")
    if side == "predictions" and not all(map(is_list, source.data.values())):
        raise UserError(f"{source.where}: no key 'results'; expected {{'results': {{id: [{{'sentence': .., "
                        f"'timestamp': [start, end]}}, ..]}}}}; {others}")
    return own_formats(PARTS[0])[OWN[side]]
