"""The recipes of MESM: what they set, and each of them on small files where it expects the published ones."""

import gzip
import json
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hicm.config import load_config
from hicm.data.features import write_features
from hicm.files import read_json, write_json
from hicm.rooms import check_settings
from hicm.stages.check import check_data
from tests.rooms.conftest import hicm

# recipe: items per step, the split that selects, and that which is reported
SPLITS = {"charades_csf": (12, "test", "test"), "charades_vgg": (12, "test", "test"),
          "charades_cg": (12, "novel_composition", "novel_composition"), "charades_cd": (12, "test_ood", "test_ood"),
          "tacos": (3, "test", "test"), "qvhighlights": (38, "val", "val")}
CSF = (1, 1.0, "thinned", 194, 16, 1111, 4, 4, 12, False, 0.1)


def test_recipes_set_what_the_published_configurations_say():
    """Features, time, words, losses, selection, submission; Charades-CD takes those of Charades-CG."""
    found = {}
    for name, (batch, select, report) in SPLITS.items():
        config = load_config(f"mesm_{name}", ["preset=released"])
        check_settings(config)
        room, data, train, losses = config.room, config.data, config.train, config.room.objective
        assert (data.name, data.select, data.report, train.batch) == (f"mesm_{name}", select, report, batch)
        assert (train.epochs, train.lr, train.schedule, train.clip, room.weight_decay) == (
            200, 2e-4, "constant", 0.1, 1e-4)
        assert (room.decode.fit, room.mixed_padding, losses.sentences) == ("grid", True, 0.1)
        plain = load_config(f"mesm_{name}")
        assert (plain.room.decode.fit, plain.room.mixed_padding) == ("video", False)
        assert load_config(f"mesm_{name}", ["data.holdout=0.1"]).data.select == "holdout"
        found[name] = (len(data.streams), data.feature_fps, data.feature_rows, data.frames, room.max_words,
                       room.classes, losses.label, losses.saliency, losses.rank, losses.triplet, losses.words,
                       train.select_on, train.seed, room.decode.clamp, room.decode.grid, room.shared_feed)
    assert found == {
        "charades_csf": (*CSF, "mAP", 2019, 150, 1, True), "charades_cg": (*CSF, "mIoU", 2019, 150, 1, True),
        "charades_cd": (*CSF, "mIoU", 2019, 150, 1, True),
        "charades_vgg": (0, 6.0, "all", 600, 16, 1111, 4, 4, 12, False, 0.1, "mAP", 2019, 150, 0.17, True),
        "tacos": (0, 1.0, "spread", 600, 16, 1111, 6, 1, 1, True, 0.1, "mIoU", 2019, 1000, 0, False),
        "qvhighlights": (1, 0.5, "thinned", 75, 32, 5000, 4, 1, 12, True, 0.5, "mAP", 2018, 150, 2, True)}


WORDS = ("she", "opens", "a", "door", "he", "sits", "down")
SENTENCES = ("she opens a door.", "he sits down.")
LENGTHS = {"AAAAA": 11, "BBBBB": 9}
SMALL = ("moments.width=32", "moments.hidden=32", "moments.heads=2", "moments.queries=4", "moments.word_layers=1",
         "moments.sentence_layers=1", "moments.aligner_layers=1", "moments.encoder_layers=1", "train.epochs=1",
         "train.log_every=1")
CLIP = ("moments.words=each:hashing:12", "moments.counts=counts.txt")  # a model of CLIP would be downloaded


@pytest.fixture
def published(tmp_path, monkeypatch) -> Path:
    """The files of every recipe, where it expects them, in the current folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)

    def features(path: str, width: int, rows: float, ids=LENGTHS) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_features(Path(path), {video: rng.standard_normal((max(2, round(seconds * rows)), width))
                                    for video, seconds in zip(ids, LENGTHS.values(), strict=True)})

    features("data/charades/clip_image.hdf5", 6, 1)
    features("data/charades/slowfast.hdf5", 4, 1)
    features("data/charades/vgg.hdf5", 5, 6)
    features("data/TACoS/c3d.hdf5", 5, 1.2, ("s1-d1", "s1-d2"))
    clips = ("one_0_12", "two_12_22")
    features("data/qvhighlights/clip_image.hdf5", 6, 0.5, clips)
    features("data/qvhighlights/slowfast.hdf5", 4, 0.5, clips)
    for folder in ("charades/annotations", "Charades-CD", "Charades-CG", "TACoS/annotations",
                   "qvhighlights/annotations", "glove"):
        Path("data", folder).mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        Path(f"data/charades/annotations/charades_sta_{split}.txt").write_text("".join(
            f"{video} 1.0 {seconds - 3}##{text}\n" for video, seconds in LENGTHS.items() for text in SENTENCES))
        Path(f"data/charades/annotations/Charades_v1_{split}.csv").write_text("id,subject,scene,length\n" + "".join(
            f'{video},x,"a room, a door",{seconds}\n' for video, seconds in LENGTHS.items()))
    for path, key in {**{f"Charades-CD/charades_{split}": "video_duration"
                         for split in ("train", "val", "test_iid", "test_ood")},
                      **{f"Charades-CG/{split}": "duration"
                         for split in ("train", "novel_composition", "novel_word")}}.items():
        write_json(Path(f"data/{path}.json"), {video: {
            key: seconds, "timestamps": [[0, 4], [2, seconds - 1]], "sentences": list(SENTENCES)}
            for video, seconds in LENGTHS.items()})
    for split in ("train", "val", "test"):
        write_json(Path(f"data/TACoS/annotations/{split}.json"), {f"s1-d{place}.avi": {
            "timestamps": [[0, 90], [60, 150]], "sentences": list(SENTENCES), "fps": 29.4, "num_frames": 29.4 * seconds}
            for place, seconds in enumerate(LENGTHS.values(), start=1)})
    for split in ("train", "val"):
        Path(f"data/qvhighlights/annotations/highlight_{split}_release.jsonl").write_text("".join(json.dumps({
            "qid": place, "query": SENTENCES[place], "vid": video, "duration": 12 - 2 * place,
            "relevant_windows": [[0, 4]], "relevant_clip_ids": [0, 1], "saliency_scores": [[4, 3, 2], [1, 1, 1]]})
            + "\n" for place, video in enumerate(clips)))
    Path("counts.txt").write_text("".join(f"{word} {place} 9\n" for place, word in enumerate(WORDS, start=2)))
    Path("data/TACoS/annotations/GloVe_tokenized_count.txt").write_text(Path("counts.txt").read_text())
    vectors = rng.standard_normal((len(WORDS) + 1, 12)).astype(np.float32)
    Path("data/glove/glove.6B.300d.txt").write_text("".join(
        f"{word} {' '.join(map(str, vector))}\n" for word, vector in zip(WORDS, vectors[1:], strict=True)))
    Path("data/charades/annotations/glove.pkl").write_bytes(pickle.dumps({
        "w2id": {word: place for place, word in enumerate(("<PAD>", *WORDS))}, "id2vec": list(vectors),
        "counter": Counter(WORDS)}))
    return tmp_path


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name not in ("charades_cg", "tacos")
                                               else ()) for name in SPLITS])
def test_a_recipe_trains_on_files_in_the_published_forms(published, name, capsys):
    if name in ("charades_vgg", "tacos"):
        pytest.importorskip("nltk.tokenize")
    options = [part for setting in (*SMALL, *(CLIP if name not in ("charades_vgg", "tacos") else ()))
               for part in ("--set", setting)]
    assert hicm("data", "check", f"mesm_{name}", *options) == 0
    assert "ok: 0 error(s), " in capsys.readouterr().out
    assert hicm("train", f"mesm_{name}", *options, "--set", "preset=released", "--out", "run") == 0
    assert hicm("predict", "run") == 0 and hicm("evaluate", "run") == 0
    report = load_config(f"mesm_{name}").data.report
    scores = read_json(Path(f"run/metrics_{report}.json"), "scores")
    assert scores["protocol"] == load_config(f"mesm_{name}").evaluate.protocol
    assert {"R1@0.5", "R1@0.7", "mIoU", "mAP"} <= scores["scores"].keys()
    grid = load_config(f"mesm_{name}").room.decode.grid
    ends = [time for queries in read_json(Path(f"run/predictions_{report}.json"), "predictions")["results"].values()
            for query in queries for window in query["windows"] for time in window[:2]]
    assert ends and (not grid or np.allclose(np.array(ends) / grid, np.round(np.array(ends) / grid), atol=1e-3))
    if name == "charades_cg":
        assert hicm("predict", "run", "--split", "novel_word") == 0
        assert hicm("evaluate", "run", "--split", "novel_word") == 0
    assert hicm("report", "run", "--out", "report") == 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "counted"), [
    ("charades_csf", {"train": "5,336 train videos, all here; 12,405", "test": "1,334 test videos, all here; 3,720"}),
    ("tacos", {"train": "75 train videos, all here; 9,790", "val": "27 val videos, all here; 4,436",
               "test": "25 test videos, all here; 4,001"}),
    ("qvhighlights", {"val": "1,519 val videos, all here; 1,550"})])
def test_the_published_annotations_are_whole(shared, tmp_path, monkeypatch, name, counted):
    monkeypatch.chdir(tmp_path)
    config = load_config(f"mesm_{name}", [f"data.features={tmp_path}", "data.streams=[]"])
    folder = Path(next(iter(config.data.annotations.values()))[0]).parent
    folder.mkdir(parents=True)
    for file in (shared / "data" / name.partition("_")[0]).iterdir():
        (folder / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    notes = [note for note in check_data(config).notes if note.startswith("official")]
    assert notes == [f"official: {line} captions, all here" for line in counted.values()]
    assert Path(config.room.counts).is_file(), "the counts of words come with them"
