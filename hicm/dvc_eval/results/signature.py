"""The line that says how a score was made.  Compare two scores only if their lines agree (except for `FREE`)."""

import hashlib
from collections.abc import Sequence
from typing import Any

from hicm import __version__
from hicm.dvc_eval.inputs.protocols import (
    GOOGLE_ROUGE,
    PROTOCOLS,
    Protocol,
    canonical,
    change_rules,
    find_protocol,
)
from hicm.dvc_eval.inputs.read import Tracks
from hicm.errors import UserError
from hicm.evaluation.rules import nearest
from hicm.evaluation.signatures import CHANGED, FREE, number, parts_of

# part of a signature -> the rule that it gives
DIRECT = {"iou": "tious", "dist": "distances", "f1": "f1", "unmatched": "unmatched", "idf": "cider",
          "rouge-empty": "rouge_empty", "missing": "missing", "cap": "max_proposals"}


def signature(rules: Protocol, metrics: Sequence[str], annotators: int, references: str, tokeniser: str, meteor: str,
              scored: int, videos: int) -> str:
    """Built from what was used: ``proto:..|..|cov:scored/videos|v:..``; parts that were not used are left out.

    ``metrics``: the names that have a value; ``references``: their digest; ``tokeniser`` and ``meteor``: their names.
    """
    captions = list(dict.fromkeys(_short(name) for name in metrics if name in rules.captions))
    paragraph = list(dict.fromkeys(_short(name.removeprefix("para_")) for name in metrics if name.startswith("para_")))
    types = "".join(dict.fromkeys(name[5] for name in metrics if name.startswith("soda")))
    localised = any(name.startswith(("Recall", "Precision", "F1")) for name in metrics)
    changed = PROTOCOLS.get(rules.name) != rules
    parts = [f"proto:{rules.name}{CHANGED if changed else ''}"]
    if captions or localised:
        parts.append("metrics:" + "+".join([*captions, *(["loc"] if localised else [])]))
    by_iou = (captions and rules.pairing == "overlap") or localised
    if captions and rules.pairing == "order":
        parts.append(f"pairs:order,roles={rules.clip_roles}")
    if by_iou or "a" in types:
        parts.append("iou:" + ",".join(number(t).lstrip("0") for t in rules.tious))
    if localised:
        parts += ["dist:" + ",".join(map(number, rules.distances))] if rules.distances else []
        parts.append(f"f1:{rules.f1}")
    if captions and rules.pairing == "overlap":
        parts.append(f"unmatched:{rules.unmatched}")
    if "cider" in captions:
        parts.append(f"idf:{rules.cider}")
    if rules.rouge_empty != "match" and "rougeL" in captions + paragraph:
        parts.append(f"rouge-empty:{rules.rouge_empty}")
    parts.append(f"missing:{rules.missing}")
    if by_iou:
        parts.append(f"cap:{rules.max_proposals}")
    parts.append(f"refs:{annotators}@{references}")
    if types:
        parts.append(_soda(rules, types, metrics))
    if paragraph:
        parts.append("para:" + "+".join(paragraph))
    if captions or set(types) - {"d"} or (paragraph and rules.tok == "unicode"):
        parts.append(f"tok:{'none' if rules.reading == 'raw' else tokeniser}")
    if "meteor" in captions + paragraph or set(types) - {"d"}:
        parts.append(f"meteor:{meteor}")
    parts.append(f"cov:{scored}/{videos}|v:{__version__}")
    return "|".join(parts)


def read_signature(text: str) -> tuple[Protocol, tuple[str, ...]]:
    """The rules and metrics of a signature, which may be broken into lines: the inverse of `signature`.

    Rules that it leaves out, because none of its metrics needs them, are the protocol's own.  Raises UserError if
    ``text`` is not a signature.
    """
    parts = parts_of(text)
    known = ("proto", "metrics", "pairs", "missing", "refs", "soda", "para", "tok", "meteor", "v", *DIRECT, *FREE)
    for name in parts:
        if name not in known:
            raise UserError(f"signature: part {name!r} is unknown; {nearest(name, known)}; expected the line "
                            "printed below scores")
    rules = find_protocol(parts.get("proto", "").removesuffix(CHANGED))
    changes: dict[str, Any] = {rule: parts[part] for part, rule in DIRECT.items() if part in parts}
    if "f1" in parts:
        changes.setdefault("distances", ())
    if "rougeL" in [*parts.get("metrics", "").split("+"), *parts.get("para", "").split("+")]:
        changes.setdefault("rouge_empty", "match")
    if parts.get("tok", "").startswith("unicode"):
        changes["tok"] = "unicode"
    types, *soda_rules = parts.get("soda", "").split(",")
    changes |= {f"soda_{name}": value for name, _, value in (one.partition("=") for one in soda_rules)}
    if types:
        changes.setdefault("soda_missing", parts.get("missing", rules.missing))
        changes.setdefault("soda_empty", "zero")
        if "d" in types and "soda_d" in rules.soda:
            changes.setdefault("soda_d", "f")
    changes |= {f"clip_{name}": value for name, _, value in
                (one.partition("=") for one in parts.get("pairs", "").split(",")[1:])}
    named = {*parts.get("metrics", "").split("+"), *(f"soda_{kind}" for kind in types.split("+") if kind),
             *(f"para_{name}" for name in parts.get("para", "").split("+") if name)} - {""}
    changes |= {"localisation": True} if "loc" in named else {}
    changes |= {"paragraph": True} if "para" in parts else {}
    rules = change_rules(rules, changes)
    families = {name: _family(name, rules) for name in rules.metrics}
    for name in sorted(named - set(families.values())):
        raise UserError(f"signature: metric {name!r} is unknown to protocol {rules.name}; "
                        f"{nearest(name, families.values())}")
    if not named:
        raise UserError(f"signature: names no metric of protocol {rules.name}; expected the line printed below scores")
    return rules, tuple(name for name, family in families.items() if family in named)


def references_digest(annotators: Sequence[Tracks]) -> str:
    """Eight hexadecimal digits of the content of the references, whatever the layout or order of their files.

    The order of the events of a video matters.
    """
    files = []
    for tracks in annotators:
        digest = hashlib.sha256()
        for video in sorted(tracks):
            track = tracks[video]
            digest.update(f"{video}\0{len(track)}\0".encode("utf-8", "surrogatepass"))
            digest.update(track.spans.tobytes())
            digest.update("\0".join(track.captions).encode("utf-8", "surrogatepass"))
        files.append(digest.hexdigest())
    return hashlib.sha256("".join(sorted(files)).encode()).hexdigest()[:8]


def _family(metric: str, rules: Protocol) -> str:
    """The name that a signature uses for a metric."""
    if metric in rules.captions:
        return _short(metric)
    if metric.startswith("para_"):
        return f"para_{_short(metric.removeprefix('para_'))}"
    return metric[:6] if metric.startswith("soda") else "loc"


def _short(metric: str) -> str:
    """A caption metric's name in signatures; Google's ROUGE, which is different, is marked."""
    name = canonical(metric)
    if name in GOOGLE_ROUGE:
        return f"google-{name}"
    return "bleu" if name.startswith("Bleu") else {"ROUGE_L": "rougeL"}.get(name, name.lower())


def _soda(rules: Protocol, types: str, metrics: Sequence[str]) -> str:
    parts = [f"soda:{'+'.join(types)}"]
    if "soda_d" in metrics and rules.soda_d != "f":
        parts.append(f"d={rules.soda_d}")
    if set(types) - {"d"}:
        parts.append(f"roles={rules.soda_roles}")
    parts.append(f"files={rules.soda_files}")
    if rules.soda_missing != rules.missing:
        parts.append(f"missing={rules.soda_missing}")
    if rules.soda_empty != "zero":
        parts.append(f"empty={rules.soda_empty}")
    if set(types) & set("ab"):
        parts.append(f"traceback={rules.soda_traceback}")
    return ",".join(parts)
