"""Make tests/golden/dvc_eval/protocols.json: the made-up captions of make_dvc_eval.py under the other protocols.

Run from the repository root; needs Java.  Plain loops around pycocoevalcap's own scorers, in the form of the reference
toolkits' stored scores, so that the same tests read both.

    python tests/golden/make_dvc_protocols.py
"""

import re

from make_dvc_eval import (
    FIRST,
    PREDICTED,
    SECOND,
    TIOUS,
    meteor,
    overlap,
    segment_meteor,
    spans_of,
    tokens,
    write,
)
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

FILES = [FIRST, SECOND]
VIDEOS = sorted(FIRST | SECOND)
BLEUS = [f"Bleu_{n}" for n in range(1, 5)]


def corpus(written: dict, said: dict) -> dict[str, float]:
    """All metrics of {key: [references]} and {key: [hypothesis]} as one corpus."""
    bleus = Bleu(4).compute_score(written, said, verbose=0)[0]
    values = [scorer.compute_score(written, said)[0] for scorer in (meteor(), Rouge(), Cider())]
    return dict(zip([*BLEUS, "METEOR", "ROUGE_L", "CIDEr"], map(float, [*bleus, *values]), strict=True))


def pairs_of(video: str, tiou: float, unmatched: str) -> list[tuple[str, str]]:
    found = []
    for event in PREDICTED.get(video, []):
        met = [other[2] for file in FILES for other in file.get(video, []) if overlap(event, other) >= tiou]
        found += [(tokens(event[2]), reference) for reference in ([tokens(text) for text in met] or [unmatched])]
    return found


def split(pairs: list[tuple[str, str]]) -> tuple[dict, dict]:
    return ({at: [written] for at, (_, written) in enumerate(pairs)},
            {at: [said] for at, (said, _) in enumerate(pairs)})


def activitynet(unmatched: str) -> dict:
    names = [*BLEUS, "METEOR", "ROUGE_L", "CIDEr"]
    per_video = {}
    for video in VIDEOS:
        spans = spans_of(video, FILES) if video in PREDICTED else {"Recall": [0.0] * 4, "Precision": [0.0] * 4}
        per_video[video] = {}
        for place, tiou in enumerate(TIOUS):
            pairs = pairs_of(video, tiou, unmatched)
            scores = corpus(*split(pairs)) if pairs else dict.fromkeys(names, 0.0)
            per_video[video][str(tiou)] = scores | {name: spans[name][place] for name in ("Recall", "Precision")}
    per_threshold = {name: [sum(per_video[video][str(t)][name] for video in VIDEOS) / len(VIDEOS) for t in TIOUS]
                     for name in [*names, "Recall", "Precision"]}
    return {"per_threshold": per_threshold, "per_video": per_video,
            "mean": {name: sum(values) / 4 for name, values in per_threshold.items()}}


def corpus_cider(of_2018: dict) -> dict:
    columns = []
    for tiou in TIOUS:
        pairs = [pair for video in VIDEOS for pair in pairs_of(video, tiou, "abc123!@#")]
        columns.append(float(Cider().compute_score(*split(pairs))[0]))
    spans = {name: of_2018["per_threshold"][name] for name in ("Recall", "Precision")}
    return {"per_threshold": {"CIDEr": columns, **spans},
            "mean": {name: sum(values) / 4 for name, values in {"CIDEr": columns, **spans}.items()}}


def paragraphs() -> dict:
    def letters(text: str) -> str:
        return " ".join(re.sub("[^a-zA-Z]", " ", text).lower().split())

    said = {video: [letters("".join(f"{text}. " for *_, text in PREDICTED.get(video, [])))] for video in VIDEOS}
    written = {video: [letters(" ".join(text for *_, text in file[video])) for file in FILES if video in file]
               for video in VIDEOS}
    return {"scores": {f"para_{name}": value for name, value in corpus(written, said).items()}, "videos": len(VIDEOS),
            "per_video": {}}


def as_written(caption: str) -> str:
    """Tokens without replacing what is not ASCII."""
    return PTBTokenizer().tokenize({0: [{"caption": caption}], 1: [{"caption": ""}]})[0][0]


def clips() -> tuple[dict, dict]:
    together = [(video, said[2], written[2]) for video in sorted(FIRST) if video in PREDICTED
                for said, written in zip(PREDICTED[video], FIRST[video], strict=False)]
    # VidChapters' script gives the prediction as reference; its captions keep letters outside ASCII.
    tokenised = [(as_written(written), as_written(said)) for _, said, written in together]
    vc = {"scores": corpus(*split(tokenised)), "pairs": len(together)}
    raw = [(said.strip().lower(), written.strip().lower()) for _, said, written in together]
    return vc, {"nlg_eval": corpus(*split(raw)), "rouge_mean_f": {}, "pairs": len(together)}


def choices(matrix: list[list[float]]) -> list[list[int]]:
    """Up (0), left (1) or take (2), the first of the largest, as SODA's toolkit stores it."""
    values: dict[tuple[int, int], float] = {}
    chosen = []
    for i, row in enumerate(matrix):
        chosen.append([])
        for j, value in enumerate(row):
            options = [values[i - 1, j] if i else -1, values[i, j - 1] if j else -1,
                       (values[i - 1, j - 1] if i and j else 0) + value]
            values[i, j] = max(options)
            chosen[-1].append(options.index(values[i, j]))
    return chosen


def shipped_pairs(matrix: list[list[float]]) -> list[tuple[int, int]]:
    chosen = choices(matrix)
    i, j, found = len(matrix) - 1, len(matrix[0]) - 1, []
    while i >= 0:
        columns = [column for column in range(j, -1, -1) if chosen[i][column] == 2]
        if columns:
            found.append((i, columns[0]))
            if not i or not columns[0]:
                break
            j = columns[0] - 1
        i -= 1
    return found


def soda(kind: str, roles: str, said: list, written: list, tiou: float, in_file_order: bool) -> list[float]:
    if not said:
        return [0.0, 0.0, 0.0]
    said = sorted(said, key=lambda row: row[0])
    written = written if in_file_order else sorted(written, key=lambda row: row[0])

    def score(one: tuple, two: tuple) -> float:
        sides = (tokens(one[2]), tokens(two[2]))
        return segment_meteor(*(sides if roles == "swapped" else sides[::-1]))

    ious = [[overlap(one, two) for two in said] for one in written]
    if kind in "ab":
        kept = [[value if kind == "b" or value >= tiou else 0.0 for value in row] for row in ious]
        total = sum(score(written[i], said[j]) for i, j in shipped_pairs(kept))
    else:
        matrix = ious if kind == "d" else [[value and value * score(written[i], said[j])
                                            for j, value in enumerate(row)] for i, row in enumerate(ious)]
        best = [[0.0] * (len(said) + 1) for _ in range(len(written) + 1)]
        for i, row in enumerate(matrix):
            for j, value in enumerate(row):
                best[i + 1][j + 1] = max(best[i][j + 1], best[i + 1][j], best[i][j] + value)
        total = best[-1][-1]
    precision, recall = total / len(said), total / len(written)
    return [precision, recall, 2 * precision * recall / (precision + recall) if total else 0.0]


def soda_scores() -> dict:
    merged = {video: [row for file in FILES for row in file.get(video, [])] for video in VIDEOS}
    found = {}
    for kind in "abcd":
        for roles in ("swapped", "corrected") if kind != "d" else ("swapped",):
            tious = TIOUS if kind == "a" else (0.0,)
            for files, lists in (("file1", [FIRST]), ("file2", [SECOND]), ("merged", [merged]),
                                 ("multi_reference", FILES)):
                videos = [video for video in VIDEOS if video in PREDICTED and any(video in file for file in lists)]
                per_video = {}
                for video in videos:
                    by_tiou = []
                    for tiou in tious:
                        each = [soda(kind, roles, PREDICTED[video], file[video], tiou, files == "multi_reference")
                                for file in lists if video in file]
                        by_tiou.append(max(each, key=lambda triple: triple[2]))
                    per_video[video] = [sum(triple[part] for triple in by_tiou) / len(tious) for part in range(3)]
                found[f"made_up/{kind}/{roles}/{files}"] = {
                    "PRF": [sum(triple[part] for triple in per_video.values()) / len(videos) for part in range(3)],
                    "videos": len(videos), "per_video": per_video}
    return found


def main() -> None:
    """Write the scores of all protocols but vidchapters, with both reference files."""
    of_2018 = activitynet("abc123!@#")
    vc, recap = clips()
    write("protocols", {
        "activitynet-2018": of_2018, "activitynet-2021": activitynet("qwertyuiopas"),
        "activitynet-2018-corpus-cider": corpus_cider(of_2018), "paragraph": paragraphs(), "vidchapters-vc": vc,
        "video-recap": recap, "soda": soda_scores()})


if __name__ == "__main__":
    main()
