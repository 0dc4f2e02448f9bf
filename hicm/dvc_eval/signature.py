"""The one line that says how a score was made.  Compare two scores only when it agrees (but for ``cov``)."""

from hicm import __version__
from hicm.dvc_eval.protocols import Protocol


def signature(protocol: Protocol, metrics: tuple[str, ...], max_proposals: int, annotators: int, tokeniser: str,
              meteor: str, scored: int, videos: int) -> str:
    """Built from what scored: ``proto:..|..|cov:scored/videos|v:..``; parts that were not used are left out.

    ``metrics``: the names that have a value; ``tokeniser`` and ``meteor``: their names.
    """
    short = dict(zip(protocol.names, ("meteor", "cider", "rougeL", "bleu", "bleu", "bleu", "bleu"), strict=True))
    captions = list(dict.fromkeys(short[name] for name in metrics if name in short))
    localised = [name for name in metrics if name not in short and not name.startswith("soda")]
    types = "+".join(dict.fromkeys(name.split("_")[1] for name in metrics if name.startswith("soda")))
    parts = [f"proto:{protocol.name}"]
    if captions or localised:
        parts.append("metrics:" + "+".join([*captions, *(["loc"] if localised else [])]))
        parts.append("iou:" + ",".join(f"{t:g}".lstrip("0") for t in protocol.tious))
    if localised and protocol.distances:
        parts.append("dist:" + ",".join(f"{d:g}" for d in protocol.distances))
    if captions:
        parts.append("unmatched:" + ("word" if protocol.unmatched.isalpha() else protocol.unmatched))
    parts.append(f"missing:{protocol.missing}|cap:{max_proposals}|refs:{annotators}")
    if types:
        parts.append(f"soda:{types}" + (",roles=swapped" if "c" in types else "") + ",files=mean")
    if captions or "c" in types:
        parts.append(f"tok:{tokeniser}")
    if "meteor" in captions or "c" in types:
        parts.append(f"meteor:{meteor}")
    parts.append(f"cov:{scored}/{videos}|v:{__version__}")
    return "|".join(parts)
