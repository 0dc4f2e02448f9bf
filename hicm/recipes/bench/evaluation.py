"""Evaluation of made-up predictions: native, one video at a time, and with the Java tools of the toolkits."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from hicm.dvc_eval import evaluate
from hicm.dvc_eval.crosscheck import missing_java
from hicm.dvc_eval.results.score import Result
from hicm.dvc_eval.words.meteor import JarMeteor
from hicm.dvc_eval.words.tokenise import JarTokeniser
from hicm.recipes.bench.race import Asked, Counts, Run, race, to_json
from hicm.recipes.demo.dataset import make_video

ORDER = 5
VIDEOS = {"tiny": 6, "small": 100, "base": 457}  # YouCook2 has 457 to be validated on
PROTOCOL = "vidchapters"
OURS, ALONE, JAVA = "native (default)", "native, one video at a time", "Java's tokeniser and METEOR"


def measure(asked: Asked) -> dict[str, Any]:
    """All metrics of one protocol.  Scores by the Java tools are compared with ours."""
    references = make_references(VIDEOS[asked.size])
    predictions = make_predictions(references)

    def count(_: Any) -> Counts:
        return {"videos": len(references), "events": sum(map(len, predictions.values()))}

    works: dict[str, Callable[[], Any]] = {
        OURS: lambda: evaluate(predictions, references, PROTOCOL),
        ALONE: lambda: [evaluate({video: events}, {video: references[video]}, PROTOCOL)
                        for video, events in predictions.items()]}
    notes = []
    if reason := "starting Java takes longer than all of size tiny" if asked.size == "tiny" else missing_java():
        notes.append(f"{JAVA}: not measured: {reason}")
    else:
        works[JAVA] = lambda: score_with_java(predictions, references)
    timed = race([Run(name, work, "" if name == OURS else OURS, count, first=(lambda: None) if name == JAVA else None)
                  for name, work in works.items()], asked)  # Java starts anew each time: there is nothing to warm up
    checks = []
    if JAVA in timed:
        own, theirs = timed[OURS].output.scores, timed[JAVA].output.scores
        apart = max(abs(value - theirs[name]) for name, value in own.items() if name in theirs)
        checks.append(f"{JAVA}: {len(own)} scores, largest difference {apart:.1e}")
    return {"settings": {**count(None), "protocol": PROTOCOL}, "runs": to_json(timed), "checks": checks, "notes": notes}


def score_with_java(predictions: Any, references: Any) -> Result:
    """The scores, with the Java tools started anew."""
    with JarMeteor() as meteor:
        return evaluate(predictions, references, PROTOCOL, tokeniser=JarTokeniser(), meteor=meteor)


def make_references(videos: int) -> dict[str, Any]:
    """Content of an annotation file: videos of the demo."""
    found = {}
    for number in range(videos):
        video, _ = make_video(np.random.default_rng([0, number]), number)
        found[video.id] = {"duration": video.duration, "sentences": [event.text for event in video.events],
                           "timestamps": [[event.span.start, event.span.end] for event in video.events]}
    return found


def make_predictions(references: dict[str, Any]) -> dict[str, Any]:
    """Events of the references: some are left out, moved, reworded or captioned as others are."""
    draw, found = random.Random(0), dict[str, list[dict[str, Any]]]()
    captions = [caption for entry in references.values() for caption in entry["sentences"]]
    for video, entry in references.items():
        found[video] = []
        for (start, end), caption in zip(entry["timestamps"], entry["sentences"], strict=True):
            moved = [min(max(draw.gauss(time, 0.2 * (end - start)), 0.0), entry["duration"]) for time in (start, end)]
            kind = draw.random()
            words = [word for word in caption.split() if kind < 0.4 or draw.random() < 0.7]
            if kind > 0.1 and moved[0] < moved[1]:
                found[video].append({"sentence": " ".join(words) if kind < 0.8 and words else draw.choice(captions),
                                     "timestamp": moved})
    return found
