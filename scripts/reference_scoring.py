"""Score the way the published toolkits do (protocol vidchapters): what `bench_evaluation.py` compares with.

    python scripts/reference_scoring.py PREDICTIONS REFERENCES...        prints the scores as json

Needs Java and pycocoevalcap, and nothing of hicm.  As in the toolkits, all captions are tokenised again for each scorer
and threshold, METEOR is called for one pair at a time, by SODA for every pair of a video, and loops are plain Python.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from random import choices, randint
from string import ascii_lowercase
from typing import Any

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

TIOUS, DISTANCES, CAP = (0.3, 0.5, 0.7, 0.9), (1, 3, 5, 10, 30, 60), 1000
BLEUS = ("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4")

Event = tuple[float, float, str]  # start and end in seconds, caption
Events = dict[str, list[Event]]  # by video
Pair = tuple[str, str]  # predicted caption, reference caption


def reference_scores(predictions: dict[str, Any], references: list[dict[str, Any]]) -> dict[str, float]:
    """Scores by name, fractions (CIDEr 0..10), of the content of a predictions file and of reference files."""
    files = [{video: [(*span, text) for span, text in zip(entry["timestamps"], entry["sentences"], strict=True)]
              for video, entry in content.items()} for content in references]
    predicted = {video: [(*event["timestamp"], event["sentence"]) for event in events]
                 for video, events in predictions.get("results", predictions).items()
                 if any(video in file for file in files)}
    soda_c, soda_d = (soda(kind, predicted, files) for kind in "cd")
    capped = {video: events[:CAP] for video, events in predicted.items()}
    return {**caption_scores(capped, files), **localisation_scores(capped, files),
            "soda_c": soda_c[2], "soda_d": mean(soda_d), "soda_d_f": soda_d[2]}


def caption_scores(predicted: Events, files: list[Events]) -> dict[str, float]:
    """METEOR, CIDEr, Rouge-L and Bleu: of a video's pairs, then means over videos and over thresholds."""
    scores: dict[str, float] = {}
    for names, scorer in ((BLEUS, Bleu(4)), (("METEOR",), Meteor()), (("Rouge-L",), Rouge()), (("CIDEr",), Cider())):
        by_tiou = [scores_at(tiou, scorer, len(names), predicted, files) for tiou in TIOUS]
        scores |= {name: mean(values) for name, values in zip(names, zip(*by_tiou, strict=True), strict=True)}
    return scores


def scores_at(tiou: float, scorer: Any, width: int, predicted: Events, files: list[Events]) -> list[float]:
    """Mean over videos of the ``width`` numbers that one scorer gives at one threshold."""
    pairs = {video: matched_pairs(events, [file.get(video, []) for file in files], tiou)
             for video, events in predicted.items()}
    flat = [pair for found in pairs.values() for pair in found]
    hypotheses, references = (iter(tokens([pair[side] for pair in flat])) for side in (0, 1))
    by_video = []
    for found in pairs.values():
        res = {at: [next(hypotheses)] for at in range(len(found))}
        gts = {at: [next(references)] for at in range(len(found))}
        if not found:
            by_video.append([0.0] * width)
        elif width > 1:
            by_video.append(scorer.compute_score(gts, res, verbose=0)[0])
        else:
            by_video.append([float(scorer.compute_score(gts, res)[0])])
    return [mean(column) for column in zip(*by_video, strict=True)]


def matched_pairs(events: list[Event], annotators: list[list[Event]], tiou: float) -> list[Pair]:
    """Each prediction with every event that it overlaps enough, or with a made-up word if there is none."""
    pairs = []
    for event in events:
        met = [other[2] for annotator in annotators for other in annotator if overlap(event, other) >= tiou]
        pairs += [(event[2], text) for text in met or ["".join(choices(ascii_lowercase, k=randint(10, 20)))]]
    return pairs


def localisation_scores(predicted: Events, files: list[Events]) -> dict[str, float]:
    """Recall, precision and F1 by IoU threshold and by distance of starts, and their means over the former."""
    scores: dict[str, float] = {}
    for label, test in tests():
        both = []
        for video, events in predicted.items():
            found = [covered(events, file[video], test) for file in files if video in file]
            both.append([max(values) for values in zip(*found, strict=True)])
        precision, recall = (mean(values) for values in zip(*both, strict=True))
        scores |= {f"Recall@{label}": recall, f"Precision@{label}": precision,
                   f"F1@{label}": harmonic(precision, recall)}
    for kind in ("Recall", "Precision", "F1"):
        scores[kind] = mean([scores[f"{kind}@{tiou}"] for tiou in TIOUS])
    return scores


def tests() -> list[tuple[str, Callable[[Event, Event], bool]]]:
    """Label and test (prediction, reference) of every column of localisation."""
    found: list[tuple[str, Callable[[Event, Event], bool]]] = []
    found += [(f"{tiou}", lambda a, b, tiou=tiou: overlap(a, b) > tiou) for tiou in TIOUS]
    found += [(f"{far}s", lambda a, b, far=far: abs(a[0] - b[0]) < far) for far in DISTANCES]
    return found


def covered(predicted: list[Event], reference: list[Event],
            test: Callable[[Event, Event], bool]) -> tuple[float, float]:
    """Precision and recall of one video by one annotator."""
    good, met = set(), set()
    for i, a in enumerate(predicted):
        for j, b in enumerate(reference):
            if test(a, b):
                good.add(i)
                met.add(j)
    return len(good) / max(len(predicted), 1), len(met) / len(reference)


def soda(kind: str, predicted: Events, files: list[Events]) -> list[float]:
    """Precision, recall and F of SODA type c or d: means over the videos of a file, then over files."""
    by_file = []
    for file in files:
        both = [video for video in predicted if video in file]
        ours, reference = (sorted_tokens({video: side[video] for video in both}) for side in (predicted, file))
        meteor = Meteor()  # not used by type d, but the toolkits start it anyway
        triples = [soda_of_video(kind, ours[video], reference[video], meteor) for video in both]
        by_file.append([mean(column) for column in zip(*triples, strict=True)])
    return [mean(column) for column in zip(*by_file, strict=True)]


def soda_of_video(kind: str, predicted: list[Event], reference: list[Event],
                  meteor: Meteor) -> tuple[float, float, float]:
    """Precision, recall and F of the best matching in temporal order; both lists sorted by start."""
    if not predicted:
        return 0.0, 0.0, 0.0
    value = [[overlap(b, a) for a in predicted] for b in reference]
    if kind == "c":
        every = [(i, j) for i in range(len(reference)) for j in range(len(predicted))]
        # The toolkits swap the roles: the reference caption is METEOR's hypothesis.
        _, each = meteor.compute_score({(i, j): [predicted[j][2]] for i, j in every},
                                       {(i, j): [reference[i][2]] for i, j in every})
        for (i, j), score in zip(every, each, strict=True):
            value[i][j] *= score
    best = [[0.0] * (len(predicted) + 1) for _ in range(len(reference) + 1)]  # first i references, j predictions
    for i, row in enumerate(value):
        for j, gain in enumerate(row):
            best[i + 1][j + 1] = max(best[i][j + 1], best[i + 1][j], best[i][j] + gain)
    precision, recall = best[-1][-1] / len(predicted), best[-1][-1] / len(reference)
    return precision, recall, harmonic(precision, recall)


def sorted_tokens(events: Events) -> Events:
    """By start, file order among equals, with tokenised captions."""
    tokenised = iter(tokens([event[2] for rows in events.values() for event in rows]))
    made = {video: [(start, end, next(tokenised)) for start, end, _ in rows] for video, rows in events.items()}
    return {video: sorted(rows, key=lambda event: event[0]) for video, rows in made.items()}


def tokens(captions: list[str]) -> list[str]:
    """Tokenised captions, by one start of Java."""
    # The tokeniser looks across line ends: with an empty line after each caption, its tokens depend on no neighbour.
    made = PTBTokenizer().tokenize({at: [{"caption": one_line(caption)}, {"caption": ""}]
                                    for at, caption in enumerate(captions)})
    return [made.get(at, [""])[0] for at in range(len(captions))]


def one_line(caption: str) -> str:
    """The caption with a blank for every character outside ASCII or that the tokeniser takes as a line end."""
    return "".join(" " if ord(letter) > 127 or letter in "\n\r\v\f" else letter for letter in caption)


def overlap(a: Event, b: Event) -> float:
    """IoU; ``a`` is the prediction (the order of the sums is the toolkits')."""
    shared = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    union = min(max(a[1], b[1]) - min(a[0], b[0]), b[1] - b[0] + a[1] - a[0])
    return shared / (union + 1e-8)


def harmonic(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b else 0.0


def mean(values: Any) -> float:
    return sum(values) / len(values)


def main() -> None:
    predictions, *references = (json.loads(Path(path).read_text(encoding="utf-8")) for path in sys.argv[1:])
    print(json.dumps(reference_scores(predictions, references)))


if __name__ == "__main__":
    main()
