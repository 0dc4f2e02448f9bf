"""The metrics of moments written out query by query, as plainly as their definitions: what the fast ones must equal."""

from collections.abc import Sequence

Window = Sequence[float]


def iou(one: Window, two: Window) -> float:
    """Intersection over union; 0 where they share nothing."""
    shared = min(one[1], two[1]) - max(one[0], two[0])
    if shared <= 0:
        return 0.0
    return shared / ((one[1] - one[0]) + (two[1] - two[0]) - shared)


def average_precision(predicted: Sequence[Window], true: Sequence[Window], tiou: float, most: int = 10) -> float:
    """Area under the interpolated curve of the first ``most`` predictions, sorted by score."""
    free = set(range(len(true)))
    hits = []
    for window in sorted(predicted[:most], key=lambda window: -window[2]):
        best = max(free, key=lambda at: (iou(window, true[at]), at), default=None)
        hits.append(best is not None and iou(window, true[best]) >= tiou)
        if hits[-1]:
            free.remove(best)
    precision = [sum(hits[:n]) / n for n in range(1, len(hits) + 1)]
    return sum(max(precision[at:]) for at, hit in enumerate(hits) if hit) / len(true)


def best_iou(window: Window, true: Sequence[Window]) -> float:
    """IoU with the true window that it overlaps most."""
    return max(iou(window, one) for one in true)


def highlight_precision(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Mean, over distinct scores that add a positive clip, of the largest precision at that score or a lower one."""
    if not any(labels):
        return 0.0
    cuts = sorted(set(scores), reverse=True)
    chosen = [[label for score, label in zip(scores, labels, strict=True) if score >= cut] for cut in cuts]
    precision = [sum(one) / len(one) for one in chosen]
    points = [at for at, one in enumerate(chosen) if sum(one) > (sum(chosen[at - 1]) if at else 0)]
    return sum(max(precision[at:]) for at in points) / len(points)
