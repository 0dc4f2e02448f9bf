"""The protocols: each is a set of rules.

Two numbers may be compared when they come from the same protocol, the same references and the same videos.  A rule
can be changed by name (`change_rules`); the signature then says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from hicm.errors import UserError
from hicm.evaluation import rules as reading
from hicm.evaluation.rules import Numbers, nearest

CAPTION_METRICS = ("METEOR", "CIDEr", "ROUGE_L", "Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4")
PARAGRAPH_METRICS = tuple(f"para_{name}" for name in CAPTION_METRICS)
GOOGLE_ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
KINDS = ("Recall", "Precision", "F1")
# What F1 is called under each rule.  per-threshold: F1 of the mean P and R over videos, averaged over thresholds;
# of-means: F1 of the mean P and R over videos and thresholds; per-video: F1 of each video's mean P and R over
# thresholds, averaged over videos (TimeChat, VTG-LLM, and Vid2Seq in JAX).
F1_NAMES = {"per-threshold": "F1", "of-means": "F1_of_means", "per-video": "F1_per_video"}


@dataclass(frozen=True)
class Protocol:
    """The rules of one public toolkit, or ours.  Signatures and ``--rule`` use the same values."""

    name: str
    used_by: str
    missing: Literal["skip", "zero"]  # a video without predictions: left out of the means, or counted as 0
    unmatched: str = "word"  # a prediction without a matching event is compared with a made-up word, or this string
    pairing: Literal["overlap", "order"] = "overlap"  # captions are paired by IoU, or event i with event i
    tious: tuple[float, ...] = (0.3, 0.5, 0.7, 0.9)  # captions are paired at IoU >= t, localisation uses IoU > t
    max_proposals: int = 1000  # per video, in file order; SODA and paragraphs use all
    captions: tuple[str, ...] = CAPTION_METRICS  # named as the toolkit prints them
    cider: Literal["video", "corpus"] = "video"  # the pairs that CIDEr's idf is counted over
    localisation: bool = True
    distances: tuple[float, ...] = ()  # seconds; starts must be closer than that
    f1: Literal["per-threshold", "of-means", "per-video"] = "per-threshold"  # see `F1_NAMES`
    soda: tuple[str, ...] = ()  # names of scores; _p, _r, _f are precision, recall and F
    soda_d: Literal["f", "mean-of-prf"] = "f"  # what soda_d without a suffix means
    soda_roles: Literal["swapped", "corrected"] = "swapped"  # swapped: the reference is METEOR's hypothesis
    soda_files: Literal["per-file", "per-video", "merged", "multi"] = "per-file"  # see `soda_scores`
    soda_missing: Literal["skip", "zero"] = "skip"
    soda_empty: Literal["zero", "skip"] = "zero"  # a video with an empty list of predictions
    soda_traceback: Literal["shipped", "optimal"] = "shipped"  # types a and b only
    paragraph: bool = False
    tok: Literal["ptb", "unicode"] = "ptb"  # words: Penn Treebank's, of ASCII; or of any language (`unicode_words`)
    rouge_empty: Literal["match", "zero"] = "match"  # ROUGE-L of two captions without words: 1, or 0
    clip_text: Literal["ptb", "raw"] = "ptb"  # with pairing "order": PTB tokens, or lower case split at blanks
    clip_roles: Literal["swapped", "corrected"] = "corrected"  # swapped: the reference is the hypothesis

    @property
    def thresholds(self) -> tuple[str, ...]:
        """Labels of the localisation columns: IoUs (``0.3``), then distances (``1s``)."""
        return tuple(f"{t:g}" for t in self.tious) + tuple(f"{d:g}s" for d in self.distances)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all scores, in the toolkit's order."""
        names = [*self.captions]
        if self.localisation and self.f1 != "per-threshold":
            names += ["Recall", "Precision", F1_NAMES[self.f1]]
        elif self.localisation:
            at = [f"{kind}@{label}" for label in self.thresholds for kind in KINDS]
            overlap = len(self.tious) * len(KINDS)
            names += [*at[:overlap], *KINDS, *at[overlap:]]
        return (*names, *self.soda, *(PARAGRAPH_METRICS if self.paragraph else ()))

    @property
    def reading(self) -> Literal["ptb", "unicode", "raw"]:
        """How captions become words."""
        return "raw" if self.pairing == "order" and self.clip_text == "raw" and self.tok == "ptb" else self.tok

    @property
    def unmatched_text(self) -> str:
        """The string itself.  One made-up word replaces the toolkits' random ones: no score depends on its letters."""
        return "q" * 10 if self.unmatched == "word" else self.unmatched


SODA_PARTS = tuple(f"soda_{kind}{part}" for kind in "abcd" for part in ("_p", "_r", ""))
_VIDCHAPTERS_NAMES = tuple(name.replace("ROUGE_L", "Rouge-L") for name in CAPTION_METRICS)

PROTOCOLS = {protocol.name: protocol for protocol in (
    Protocol("hicm", used_by="this project; recommended", missing="zero", soda=("soda_c", "soda_d"),
             soda_roles="corrected", soda_files="per-video", soda_missing="zero", paragraph=True, rouge_empty="zero"),
    Protocol("vidchapters", used_by="VidChapters, HiCM2, STaRC, PMD, Sali4Vid", missing="skip",
             captions=_VIDCHAPTERS_NAMES, distances=(1, 3, 5, 10, 30, 60), soda=("soda_c", "soda_d", "soda_d_f"),
             soda_d="mean-of-prf"),
    Protocol("activitynet-2018", used_by="PDVC, CM2, E2DVC", missing="zero", unmatched="abc123!@#", f1="of-means",
             soda=("soda_c",), paragraph=True),
    Protocol("activitynet-2021", used_by="the later densevid_eval", missing="zero", f1="of-means", soda=("soda_c",),
             paragraph=True),
    Protocol("activitynet-2018-corpus-cider", used_by="a script in CM2's repository", missing="zero",
             unmatched="abc123!@#", captions=("CIDEr",), cider="corpus", f1="of-means"),
    Protocol("soda", used_by="the SODA toolkit, its default", missing="skip", captions=(), localisation=False,
             soda=SODA_PARTS, soda_files="merged"),
    Protocol("soda-multi", used_by="the SODA toolkit, multi-reference", missing="skip", captions=(),
             localisation=False, soda=SODA_PARTS, soda_files="multi"),
    Protocol("vidchapters-vc", used_by="VidChapters, captions of given events", missing="skip", pairing="order",
             cider="corpus", localisation=False, clip_roles="swapped"),
    Protocol("video-recap", used_by="Video ReCap, captions of given clips", missing="skip", pairing="order",
             cider="corpus", localisation=False, clip_text="raw", captions=(*CAPTION_METRICS, *GOOGLE_ROUGE)),
)}

CHANGEABLE = tuple(field.name for field in fields(Protocol)
                   if field.name not in ("name", "used_by", "captions", "soda", "pairing", "clip_text"))


_NUMBERS = {
    "tious": Numbers("numbers above 0, at most 1", "0.5,0.7", lambda value: 0 < value <= 1, several=(1, 1000)),
    "distances": Numbers("seconds above 0", "1,5", lambda value: value > 0, several=(0, 1000)),
    "max_proposals": Numbers("a whole number, 1 or more", "1000", lambda value: value >= 1, whole=True),
}


def find_protocol(name: "str | Protocol") -> Protocol:
    """The protocol of that name.  Raises UserError, naming the nearest one, if there is none."""
    return reading.find_protocol(name, PROTOCOLS)


def change_rules(protocol: Protocol, rules: Mapping[str, Any]) -> Protocol:
    """The protocol with some rules changed; values may be text, as from the command line.

    >>> change_rules(find_protocol("vidchapters"), {"tious": "0.5,0.7", "missing": "zero"}).tious
    (0.5, 0.7)

    Raises UserError for an unknown rule or an invalid value.
    """
    if not {"|", "\n"}.isdisjoint(str(rules.get("unmatched", ""))):
        raise UserError(f"rule unmatched is {rules['unmatched']!r}, expected one line without '|', which separates the "
                        "parts of a signature")
    return reading.change_rules(protocol, rules, CHANGEABLE, _NUMBERS)


def select_metrics(protocol: Protocol, metrics: Iterable[str] | None,
                   others: Sequence[Protocol] = ()) -> tuple[str, ...]:
    """The requested metrics in the protocol's order (None: all).

    ROUGE-L may be given by either of its names.  A metric of one of the ``others``, scored together with this protocol,
    may be unknown here.  Raises UserError, naming the nearest metric, for an unknown one.
    """
    if metrics is None:
        return protocol.metrics
    wanted = {metrics} if isinstance(metrics, str) else set(metrics)
    if not wanted:
        raise UserError("metrics is empty: name at least one, or pass None for all of the protocol's")
    known = {canonical(name): name for name in protocol.metrics}
    elsewhere = {canonical(name) for other in others for name in other.metrics}
    found = {known[canonical(name)] for name in wanted if canonical(name) in known}
    for name in sorted(wanted, key=str):
        if canonical(name) not in known and (canonical(name) not in elsewhere or not found):
            raise UserError(f"metric {name!r} is unknown to protocol {protocol.name}; "
                            f"{nearest(name, protocol.metrics)}; known: {', '.join(protocol.metrics)}")
    return tuple(name for name in protocol.metrics if name in found)


def canonical(name: str) -> str:
    """A caption metric's name in CAPTION_METRICS, from the toolkit's name.

    >>> canonical("Rouge-L")
    'ROUGE_L'
    """
    return "ROUGE_L" if name == "Rouge-L" else name
