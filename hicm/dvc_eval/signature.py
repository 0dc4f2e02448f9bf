"""The one line that says how a score was made.  Compare two scores only when it agrees (but for ``cov``)."""

import hashlib
from collections.abc import Sequence

from hicm import __version__
from hicm.dvc_eval.protocols import PROTOCOLS, Protocol, canonical
from hicm.dvc_eval.read import Tracks


def signature(rules: Protocol, metrics: Sequence[str], annotators: int, references: str, tokeniser: str, meteor: str,
              scored: int, videos: int) -> str:
    """Built from what scored: ``proto:..|..|cov:scored/videos|v:..``; parts that were not used are left out.

    ``metrics``: the names that have a value; ``references``: their digest; ``tokeniser`` and ``meteor``: their names.
    """
    captions = list(dict.fromkeys(_short(name) for name in metrics if name in rules.captions))
    paragraph = list(dict.fromkeys(_short(name.removeprefix("para_")) for name in metrics if name.startswith("para_")))
    types = "".join(dict.fromkeys(name[5] for name in metrics if name.startswith("soda")))
    localised = any(name.startswith(("Recall", "Precision", "F1")) for name in metrics)
    changed = PROTOCOLS.get(rules.name) != rules
    parts = [f"proto:{rules.name}{'(changed)' if changed else ''}"]
    if captions or localised:
        parts.append("metrics:" + "+".join([*captions, *(["loc"] if localised else [])]))
    if rules.pairing == "order":
        parts.append(f"pairs:order,roles={rules.clip_roles}")
    elif captions or localised or "a" in types:
        parts.append("iou:" + ",".join(f"{t:g}".lstrip("0") for t in rules.tious))
    if localised:
        parts += ["dist:" + ",".join(f"{d:g}" for d in rules.distances)] if rules.distances else []
        parts.append(f"f1:{rules.f1}")
    if captions and rules.pairing == "overlap":
        parts.append(f"unmatched:{rules.unmatched}")
    if "cider" in captions:
        parts.append("idf:" + ("corpus" if rules.pairing == "order" else rules.cider))
    parts.append(f"missing:{rules.missing}")
    if (captions or localised) and rules.pairing == "overlap":
        parts.append(f"cap:{rules.max_proposals}")
    parts.append(f"refs:{annotators}@{references}")
    if types:
        parts.append(_soda(rules, types, metrics))
    if paragraph:
        parts.append("para:" + "+".join(paragraph))
    with_text = captions or set(types) - {"d"}
    if with_text:
        parts.append(f"tok:{tokeniser if rules.clip_text == 'ptb' else 'none'}")
    if "meteor" in captions + paragraph or set(types) - {"d"}:
        parts.append(f"meteor:{meteor}")
    parts.append(f"cov:{scored}/{videos}|v:{__version__}")
    return "|".join(parts)


def references_digest(annotators: Sequence[Tracks]) -> str:
    """Eight hexadecimal digits of what the references say, whatever their files look like or in which order they come.

    Order matters between events of a video and is that of the file.
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


def _short(metric: str) -> str:
    name = canonical(metric)
    return "bleu" if name.startswith("Bleu") else {"ROUGE_L": "rougeL"}.get(name, name if name.startswith("rouge")
                                                                           else name.lower())


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
