"""Compares the scores with those of the Java tools: an optional check of the native tokeniser and METEOR."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hicm.dvc_eval.evaluate import evaluate
from hicm.dvc_eval.inputs.protocols import Protocol
from hicm.dvc_eval.results.score import Result
from hicm.dvc_eval.words.java import METEOR_JAR, PTB_JAR, Unavailable, find_jar, find_java
from hicm.dvc_eval.words.meteor import JarMeteor
from hicm.dvc_eval.words.tokenise import JarTokeniser
from hicm.errors import UserError


def check_java() -> None:
    """UserError if Java, or the jars of pycocoevalcap, are not there: before anything is scored."""
    if missing := missing_java():
        raise UserError(f"--check-with-java: {missing}")


def missing_java() -> str:
    """Why the Java tools cannot be run; empty where they can."""
    try:
        find_java()
        for jar in (METEOR_JAR, PTB_JAR):
            find_jar(jar)
    except Unavailable as error:
        return str(error)
    return ""


def differences_from_java(native: Result, predictions: Any, references: Any, protocol: str | Protocol = "vidchapters",
                          metrics: Iterable[str] | None = None, rules: Mapping[str, Any] | None = None,
                          format: str = "", reference_format: str = "") -> dict[str, float]:
    """Largest absolute difference from ``native`` for each metric, over the scores of the data set and every video.

    Formats as in `evaluate`.  Raises UserError if Java, or the jars of pycocoevalcap, cannot be used.
    """
    try:
        with JarMeteor() as meteor:
            java = evaluate(predictions, references, protocol, metrics=metrics, rules=rules, tokeniser=JarTokeniser(),
                            meteor=meteor, format=format, reference_format=reference_format)
    except Unavailable as error:
        raise UserError(f"--check-with-java: {error}") from error
    if java.left_out:
        raise UserError(f"--check-with-java: {'; '.join(dict.fromkeys(java.left_out.values()))}")
    found = {name: abs(value - java.scores[name]) for name, value in native.scores.items()}
    for video, scores in native.per_video.items():
        for name, value in scores.items():
            found[name] = max(found.get(name, 0.0), abs(value - java.per_video[video][name]))
    return found


def print_differences(results: Sequence[Result], predictions: Any, references: Any, protocols: Sequence[str],
                      **options: Any) -> None:
    """Print `differences_from_java` of each protocol to standard error; standard output is for the scores."""
    for result, protocol in zip(results, protocols, strict=True):
        found = differences_from_java(result, predictions, references, protocol, **options)
        print(f"{protocol}: largest difference from the Java tools, data set and videos:", file=sys.stderr)
        print("\n".join(f"  {name:14} {difference:.1e}" for name, difference in found.items()), file=sys.stderr)
