"""Results: per video first, then pure means; frozen, and able to print themselves."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from hicm.dvc_eval.localisation import harmonic_mean
from hicm.dvc_eval.protocols import Protocol


@dataclass(frozen=True)
class Result:
    """What `evaluate` returns.  Scores are fractions, CIDEr 0..10; papers print them times 100.

    ``scores``: the protocol's names in its order, without what was left out.  ``per_threshold``: {metric: values},
    caption metrics over the IoU thresholds, Recall, Precision and F1 over all of ``thresholds`` (the distances come
    last).  ``per_video``: {id: {metric: mean over the IoU thresholds}}, F1 aside, which is made of the averaged
    precision and recall.  ``per_video_thresholds``: {id: {threshold: {metric: value}}}.  ``coverage``: which videos
    were scored, missing, empty, unknown.  ``left_out``: {metric: reason}.
    """

    protocol: str
    scores: dict[str, float]
    thresholds: tuple[str, ...]
    per_threshold: dict[str, tuple[float, ...]]
    per_video: dict[str, dict[str, float]]
    per_video_thresholds: dict[str, dict[str, dict[str, float]]]
    coverage: dict[str, Any]
    left_out: dict[str, str]
    signature: str
    warnings: tuple[str, ...] = ()
    run: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The content of a metrics file: plain data, without the tables per video and threshold."""
        return json.loads(json.dumps({
            "protocol": self.protocol, "signature": self.signature, "run": self.run, "scores": self.scores,
            "coverage": self.coverage, "left_out": self.left_out, "warnings": self.warnings,
            "thresholds": self.thresholds, "per_threshold": self.per_threshold, "per_video": self.per_video,
        }))

    def __str__(self) -> str:
        """A table in per cent, what it covers, and how it was made."""
        covered = self.coverage
        lines = [f"{self.protocol}, times 100"]
        plain = [name for name in self.scores if "@" not in name and name not in ("Recall", "Precision", "F1")]
        for at in range(0, len(plain), 8):
            part = plain[at:at + 8]
            lines += ["  ".join(f"{name:>9}" for name in part),
                      "  ".join(f"{100 * self.scores[name]:9.2f}" for name in part)]
        kinds = [kind for kind in ("Recall", "Precision", "F1") if kind in self.scores or f"{kind}@" in
                 "".join(self.scores)]
        labels = [label for label in ("mean", *self.thresholds)
                  if any(self._cell(kind, label) is not None for kind in kinds)]
        if labels:
            lines.append(f"{'':9}" + "".join(f"{label:>8}" for label in labels))
        for kind in kinds:
            cells = [self._cell(kind, label) for label in labels]
            lines.append(f"{kind:>9}" + "".join(f"{'-':>8}" if cell is None else f"{100 * cell:8.2f}"
                                                for cell in cells))
        counts = ", ".join(f"{len(covered[kind])} {kind}" for kind in ("missing", "empty", "unknown"))
        lines.append(f"coverage: {covered['scored']} of {covered['videos']} videos scored ({counts})")
        by_reason: dict[str, list[str]] = {}
        for name, reason in self.left_out.items():
            by_reason.setdefault(reason, []).append(name)
        lines += [f"left out: {', '.join(names)}: {reason}" for reason, names in by_reason.items()]
        lines += [f"warning: {warning}" for warning in self.warnings]
        return "\n".join([*lines, self.signature])

    def _cell(self, kind: str, label: str) -> float | None:
        return self.scores.get(kind if label == "mean" else f"{kind}@{label}")


def summarise(protocol: Protocol, wanted: tuple[str, ...], videos: tuple[str, ...], columns: dict[str, np.ndarray],
              soda: dict[str, tuple[float, dict[str, float]]]) -> dict[str, Any]:
    """Means of the per-video tables: the fields ``scores`` to ``per_video_thresholds`` of a `Result`.

    ``columns``: {metric: (videos, thresholds)}, Recall and Precision with the distances behind the thresholds;
    ``soda``: {name: (score, {video: score})}.  First over videos, then over IoU thresholds.
    """
    tious = len(protocol.tious)
    per_threshold = {name: values.mean(axis=0) for name, values in columns.items()}
    scores = {name: float(values[:tious].mean()) for name, values in per_threshold.items()}
    if "Recall" in columns:
        precision, recall = per_threshold["Precision"], per_threshold["Recall"]
        if protocol.f1 == "of-means":
            scores["F1_of_means"] = float(harmonic_mean(scores["Precision"], scores["Recall"]))
        else:
            per_threshold["F1"] = harmonic_mean(precision, recall)
            scores["F1"] = float(per_threshold["F1"][:tious].mean())
            for kind in ("Recall", "Precision", "F1"):
                for label, value in zip(protocol.thresholds, per_threshold[kind].tolist(), strict=True):
                    scores[f"{kind}@{label}"] = value
    scores |= {name: score for name, (score, _) in soda.items()}

    means = {name: values[:, :tious].mean(axis=1).tolist() for name, values in columns.items()}
    tables = {name: values.tolist() for name, values in columns.items()}
    per_video, per_video_thresholds = {}, {}
    for row, video in enumerate(videos):
        per_video[video] = {name: values[row] for name, values in means.items()}
        per_video[video] |= {name: by_video[video] for name, (_, by_video) in soda.items() if video in by_video}
        per_video_thresholds[video] = {
            label: {name: values[row][place] for name, values in tables.items() if place < len(values[row])}
            for place, label in enumerate(protocol.thresholds)}
    return {
        "scores": {name: scores[name] for name in wanted if name in scores},
        "per_threshold": {name: tuple(values.tolist()) for name, values in per_threshold.items()},
        "per_video": per_video,
        "per_video_thresholds": per_video_thresholds,
    }
