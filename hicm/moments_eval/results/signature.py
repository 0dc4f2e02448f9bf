"""The line that says how a score was made.  Compare two scores only if their lines agree (except for `FREE`)."""

import hashlib
from collections.abc import Sequence

from hicm import __version__
from hicm.errors import UserError
from hicm.evaluation.rules import nearest
from hicm.evaluation.signatures import CHANGED, FREE, number, parts_of
from hicm.moments.records import Query
from hicm.moments_eval.inputs.protocols import PROTOCOLS, Protocol, change_rules, find_protocol, select_metrics

# part of a signature -> the rule that it gives
RULES = {"r1": "recall", "iou": "tious", "miou": "miou", "ranges": "ranges", "order": "order", "cap": "max_windows",
         "clamp": "clamp", "video": "clamp_to_video", "round": "round", "missing": "missing", "unknown": "unknown",
         "highlights": "highlights", "clip": "clip_length"}
OTHERS = ("proto", "metrics", "refs", "v", "over", *FREE)  # over: what compared results draw


def signature(rules: Protocol, metrics: Sequence[str], annotations: str, scored: int, queries: int) -> str:
    """``proto:..|metrics:..|..|refs:digest|cov:scored/queries|v:..``.

    ``metrics``: the names that were asked for; ``annotations``: their digest.  Rules whose value is "not done" are left
    out.
    """
    changed = CHANGED if PROTOCOLS.get(rules.name) != rules else ""
    named = "all" if tuple(metrics) == rules.metrics else "+".join(metrics)
    given = {part: getattr(rules, rule) for part, rule in RULES.items()}
    if not rules.highlights:
        del given["clip"]
    parts = [f"{part}:{_text(part, value)}" for part, value in given.items() if value not in (False, 0.0)]
    return "|".join([f"proto:{rules.name}{changed}", f"metrics:{named}", *parts, f"refs:{annotations}",
                     f"cov:{scored}/{queries}", f"v:{__version__}"])


def read_signature(text: str) -> tuple[Protocol, tuple[str, ...] | None]:
    """The rules and metrics of a signature, which may be broken into lines: the inverse of `signature`.

    None stands for all metrics.  Raises UserError if ``text`` is not a signature of this evaluator.
    """
    parts = parts_of(text)
    for name in parts:
        if name not in (*RULES, *OTHERS):
            raise UserError(f"signature: part {name!r} is unknown; {nearest(name, (*RULES, *OTHERS))}; expected the "
                            "line printed below scores of moments")
    rules = find_protocol(parts.get("proto", "").removesuffix(CHANGED))
    # Parts that stand for "not done" are left out.
    off = {"miou": "false", "clamp": "0", "video": "false", "round": "0", "highlights": "false"}
    rules = change_rules(rules, {RULES[part]: value for part, value in {**off, **parts}.items() if part in RULES})
    named = parts.get("metrics", "")
    if not named:
        raise UserError(f"signature: names no metric of protocol {rules.name}; expected the line printed below scores")
    return rules, None if named == "all" else select_metrics(rules, named.split("+"))


def annotations_digest(queries: Sequence[Query]) -> str:
    """Eight hexadecimal digits of ids, windows and ratings, whatever the layout of the file or the order of queries."""
    digest = hashlib.sha256()
    for query in sorted(queries, key=lambda query: query.id):
        digest.update(f"{query.id}\0{len(query.windows)}\0".encode("utf-8", "surrogatepass"))
        digest.update(query.windows.tobytes())
        if query.clips is not None and query.ratings is not None:
            digest.update(query.clips.tobytes() + query.ratings.tobytes())
    return digest.hexdigest()[:8]


def _text(part: str, value: object) -> str:
    """The value of a rule in a signature: all its digits, so that it can be read back."""
    if isinstance(value, bool):
        return "true"
    if isinstance(value, tuple):
        return ",".join(number(one).lstrip("0") or "0" if part in ("r1", "iou") else number(one) for one in value)
    return number(value) if isinstance(value, float) else str(value)
