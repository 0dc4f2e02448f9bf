"""Make tests/golden/dvc_eval: made-up captions of ten videos, scored with pycocoevalcap's own Java scorers.

Run from the repository root; needs Java.  Everything here is written in the plainest way (one scorer
call a video and threshold, as the toolkits do), so that it shares nothing with hicm.dvc_eval but the input.

    python tests/golden/make_dvc_eval.py
"""

import json
import random
from functools import cache
from pathlib import Path

from pycocoevalcap.bleu.bleu_scorer import BleuScorer
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

FOLDER = Path(__file__).parent / "dvc_eval"
TIOUS, DISTANCES = (0.3, 0.5, 0.7, 0.9), (1, 3, 5, 10, 30, 60)

# (start, end, sentence): invented, with what tokenisers find hard.
FIRST = {
    "kite_01": [(2, 9, "A girl unrolls the string of a red kite."),
                (9, 21, "She runs across the field, and the kite rises."),
                (25, 40, "The kite can't climb any higher; it dives.")],
    "soup_02": [(0, 14, "chop 1 1/2 cups of leeks"), (15, 33, "fry the leeks in the pot's base for 5-6 minutes"),
                (33, 61, "pour in the stock (hot!) and simmer"), (70, 92, "serve the soup with a well-toasted crust")],
    "bike_03": [(5, 18, "the mechanic lifts the rear wheel"), (20, 47, "he cannot loosen the chain, etc."),
                (47, 52, "he wipes his hands")],
    "band_04": [(0, 30, 'The drummer counts "one, two" and they start.'), (30, 95, "They'll play for the U.S. crowd.")],
    "clay_05": [(3, 11, "wet the clay"), (11, 29, "press the clay into a ball"), (29, 60, "pull the walls up slowly"),
                (60, 75, "cut the bowl off at the base"), (75, 80, "let the bowl dry")],
    "dive_06": [(1, 6, "a diver jumps")],
    "moth_07": [(0, 12, "a moth sits on the café window"), (12, 20, "the moth flies to the lamp")],
    "sled_08": [(4, 16, "two boys pull a sled uphill"), (16, 22, "they race down, laughing & shouting"),
                (22, 31, "one of them falls off the sled")],
    "yarn_09": [(0, 8, "cast on 20 stitches"), (8, 44, "knit 2 rows in blue"), (44, 58, "bind off the last row")],
    "tent_10": [(2, 19, "a man lays the tent flat"), (19, 37, "he threads both poles through the sleeves"),
                (37, 50, "he hammers in the pegs")],
}
SECOND = {
    "kite_01": [(1, 20, "a child gets a kite to fly"), (22, 41, "the kite falls to the ground")],
    "soup_02": [(0, 34, "leeks are cut and fried"), (34, 93, "a soup is boiled and served")],
    "clay_05": [(2, 28, "clay is made wet and round"), (28, 81, "someone shapes a bowl on the wheel")],
    "sled_08": [(3, 30, "children play with a sled in the snow")],
    "tent_10": [(1, 36, "a tent is put up by a man"), (36, 51, "pegs are driven into the ground")],
}
PREDICTED = {
    "kite_01": [(1, 9, "a girl unrolls a kite"), (10, 20, "she runs across a field and the kite rises"),
                (24, 41, "the kite dives"), (60, 70, "people clap")],
    "soup_02": [(34, 60, "pour in the hot stock and simmer."), (0, 13, "chop the leeks"),
                (14, 34, "fry the leeks in a pan for 5-6 minutes"), (0, 92, "a cook makes a soup")],
    "bike_03": [(4, 18.5, "a man lifts the wheel"), (21, 46, "he can't loosen the chain etc."), (46, 53, "")],
    "band_04": [(0, 28, 'the drummer counts "one, two"'), (29, 96, "They play for the crowd in the U.S.")],
    "clay_05": [(3, 11, "wet the clay"), (11, 29, "press the clay into a ball"), (30, 58, "pull up the walls"),
                (59, 76, "cut off the bowl"), (75, 81, "dry it"), (75, 81, "let the bowl dry")],
    "dive_06": [(30, 41, "swimming")],
    "moth_07": [],
    "sled_08": [(16, 31, "they race down & one falls off"), (3, 15, "two boys pull the sled up a hill")],
    "tent_10": [(0, 20, "the man puts the tent on the ground"), (20, 36, "he pushes the poles into the sleeves"),
                (36, 50, "he hammers the pegs in")],
    "not_asked_11": [(0, 5, "nobody asked for this")],
}


def main() -> None:
    """Write predictions, two reference files and the scores with one and with both of them."""
    for name, events in (("references_1", FIRST), ("references_2", SECOND)):
        write(name, {video: {"duration": max(end for _, end, _ in rows) + 5.0,
                             "timestamps": [[start, end] for start, end, _ in rows],
                             "sentences": [text for *_, text in rows]} for video, rows in events.items()})
    write("predictions", {"version": "VERSION 1.0", "external_data": {}, "results": {
        video: [{"sentence": text, "timestamp": [start, end]} for start, end, text in rows]
        for video, rows in PREDICTED.items()}})
    captions = sorted({text for part in (FIRST, SECOND, PREDICTED) for rows in part.values() for *_, text in rows})
    write("scores", {"one reference file": score([FIRST]), "two reference files": score([FIRST, SECOND]),
                     "tokenised": {ascii_only(caption): tokens(caption) for caption in captions}})


def score(annotators: list[dict]) -> dict:
    videos = [video for video in FIRST if video in PREDICTED]
    per_video = {video: {**captions_of(video, annotators), **spans_of(video, annotators)} for video in videos}
    sodas = {kind: [[soda(kind, PREDICTED[video], file[video]) for video in videos if video in file]
                    for file in annotators] for kind in "cd"}
    triples = {kind: [sum(sum(row[k] for row in rows) / len(rows) for rows in files) / len(files) for k in range(3)]
               for kind, files in sodas.items()}
    scores = {}
    names = ("METEOR", "CIDEr", "Rouge-L", "Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4")
    mean = {name: [sum(table[name][t] for table in per_video.values()) / len(videos)
                   for t in range(len(per_video[videos[0]][name]))] for name in (*names, "Recall", "Precision")}
    for name in names:
        scores[name] = sum(mean[name]) / 4
    both = list(zip(mean["Recall"], mean["Precision"], strict=True))
    mean["F1"] = [2 * r * p / (r + p) if r + p else 0.0 for r, p in both]
    for kind in ("Recall", "Precision", "F1"):
        scores[kind] = sum(mean[kind][:4]) / 4
        for label, value in zip([*map(str, TIOUS), *(f"{d}s" for d in DISTANCES)], mean[kind], strict=True):
            scores[f"{kind}@{label}"] = value
    scores |= {"soda_c": triples["c"][2], "soda_d": sum(triples["d"]) / 3, "soda_d_f": triples["d"][2]}
    return {"scores": scores, "per_video": per_video}


def overlap(a: tuple, b: tuple) -> float:
    shared = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    union = min(max(a[1], b[1]) - min(a[0], b[0]), b[1] - b[0] + a[1] - a[0])
    return shared / (union + 1e-8)


def captions_of(video: str, annotators: list[dict]) -> dict:
    found = {name: [] for name in ("METEOR", "CIDEr", "Rouge-L", "Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4")}
    for tiou in TIOUS:
        pairs = []
        for event in PREDICTED[video]:
            met = [other[2] for file in annotators for other in file.get(video, []) if overlap(event, other) >= tiou]
            garbage = "".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randint(10, 20)))
            pairs += [(tokens(event[2]), reference) for reference in ([tokens(text) for text in met] or [garbage])]
        said = {at: [hypothesis] for at, (hypothesis, _) in enumerate(pairs)}
        written = {at: [reference] for at, (_, reference) in enumerate(pairs)}
        bleu = BleuScorer(n=4)
        for hypothesis, reference in pairs:
            bleu += (hypothesis, [reference])
        values = [0.0] * 7
        if pairs:
            values = [scorer.compute_score(written, said)[0] for scorer in (meteor(), Cider(), Rouge())]
            values += bleu.compute_score(option="closest")[0]
        for name, value in zip(found, values, strict=True):
            found[name].append(float(value))
    return found


def spans_of(video: str, annotators: list[dict]) -> dict:
    said = PREDICTED[video]
    tests = [lambda a, b, t=t: overlap(a, b) > t for t in TIOUS]
    tests += [lambda a, b, d=d: abs(a[0] - b[0]) < d for d in DISTANCES]
    found = {"Recall": [], "Precision": []}
    for test in tests:
        files = [file[video] for file in annotators if video in file]
        found["Recall"].append(max(sum(any(test(a, b) for a in said) for b in rows) / len(rows) for rows in files))
        found["Precision"].append(max(sum(any(test(a, b) for b in rows) for a in said) / max(len(said), 1)
                                      for rows in files))
    return found


def soda(kind: str, said: list, written: list) -> list[float]:
    said, written = sorted(said, key=lambda row: row[0]), sorted(written, key=lambda row: row[0])

    @cache
    def best(i: int, j: int) -> float:  # of the first i references and j predictions
        if not i or not j:
            return 0.0
        value = overlap(written[i - 1], said[j - 1])
        if kind == "c" and value:  # the reference caption is METEOR's hypothesis, as the toolkits call it
            value *= segment_meteor(tokens(written[i - 1][2]), tokens(said[j - 1][2]))
        return max(best(i - 1, j), best(i, j - 1), best(i - 1, j - 1) + value)

    total = best(len(written), len(said))
    precision, recall = total / max(len(said), 1), total / len(written)
    return [precision, recall, 2 * precision * recall / (precision + recall) if total else 0.0]


@cache
def meteor() -> Meteor:
    return Meteor()


@cache
def segment_meteor(hypothesis: str, reference: str) -> float:
    return meteor().compute_score({0: [reference]}, {0: [hypothesis]})[1][0]


@cache
def tokens(caption: str) -> str:
    lines = {0: [{"caption": ascii_only(caption)}], 1: [{"caption": ""}]}  # an empty line behind it
    return PTBTokenizer().tokenize(lines)[0][0]


def ascii_only(caption: str) -> str:
    return "".join(letter if ord(letter) < 128 else " " for letter in caption)


def write(name: str, content: dict) -> None:
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
