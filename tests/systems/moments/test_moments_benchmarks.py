"""The room on the published annotation files: trained, predicted, scored, compared."""

import json
import shutil

import numpy as np
import pytest

from hicm.config import load_config
from hicm.data.annotations import annotators, read_first, split_references
from hicm.data.features import write_features
from hicm.data.samples import open_samples
from hicm.files import read_json, write_json
from hicm.moments.dense import queries_of
from hicm.systems.base import find_system
from hicm.tasks import find_task
from tests.rooms.conftest import hicm
from tests.systems.moments.test_moments_room import TINY
from tests.tiny import WIDTH

STA = "AAAAA 1.0 4.5##someone opens a door.\nBBBBB 9 2##she sits.\nAAAAA 31 32##beyond the end.\nBBBBB 5 12##cut.\n"
CHARADES = "id,subject,scene,length\nAAAAA,x,\"a room, large\",10.5\nBBBBB,y,hall,11\n"
TACOS = {"s1-d1.avi": {"timestamps": [[0, 60], [90, 150]], "sentences": ["He cuts.", "He cooks."], "fps": 30.0,
                       "num_frames": 330}}
RATED = [{"qid": 8, "query": "a dog runs", "vid": "one_0_22", "duration": 22, "relevant_windows": [[2, 6], [10, 12]],
          "relevant_clip_ids": [1, 2, 5], "saliency_scores": [[4, 3, 2], [1, 1, 1], [0, 2, 4]]},
         {"qid": 9, "query": "it rests", "vid": "one_0_22", "duration": 22,
          "relevant_windows": [[2 * at, 2 * at + 2] for at in range(0, 10, 2)],
          "relevant_clip_ids": [0, 2, 4, 6, 8], "saliency_scores": [[1, 2, 3]] * 5}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    rng = np.random.default_rng(0)
    for name, ids in (("charades", ("AAAAA", "BBBBB")), ("tacos", ("s1-d1.avi",)), ("rated", ("one_0_22",))):
        write_features(folder / f"{name}.h5", {video: rng.standard_normal((11, WIDTH)) for video in ids})
    (folder / "sta.txt").write_text(STA)
    (folder / "charades.csv").write_text(CHARADES)
    write_json(folder / "tacos.json", TACOS)
    (folder / "rated.jsonl").write_text("\n".join(map(json.dumps, RATED)))
    return folder


def settings(folder, name, *files, fps=1.0, **moments):
    paths = [str(folder / file) for file in files]
    data = {"name": name, "annotations": {"train": paths, "val": paths}, "features": str(folder / f"{name}.h5"),
            "feature_fps": fps}
    write_json(folder / f"{name}.yaml", {
        "system": "moments", "data": data, "moments": TINY | moments,
        "train": {"epochs": 1, "batch": 2, "lr": 1e-3, "log_every": 1}})
    return folder / f"{name}.yaml"


@pytest.fixture(scope="module")
def charades(folder, tmp_path_factory):
    run = tmp_path_factory.mktemp("run") / "run"
    assert hicm("train", settings(folder, "charades", "sta.txt", "charades.csv"), "--out", run) == 0
    return run


def test_the_table_of_durations_belongs_to_the_file_before_it(folder):
    files = [str(folder / name) for name in ("sta.txt", "charades.csv", "tacos.json")]
    assert annotators(files) == [(files[0], files[1]), (files[2], "")]
    with pytest.warns(UserWarning, match="queries skipped"):
        videos = read_first(files)
    assert {video.id: video.duration for video in videos.values()} == {"AAAAA": 10.5, "BBBBB": 11.0}
    assert [(query.id, query.windows.tolist()) for video in videos.values() for query in queries_of(video)] == [
        ("0", [[1.0, 4.5]]), ("1", [[2.0, 9.0]]), ("3", [[5.0, 11.0]])]


def test_a_table_of_durations_alone_is_refused(folder, tmp_path, capsys):
    for files in (["charades.csv", "sta.txt"], ["charades.csv"]):
        assert hicm("train", settings(folder, "charades", *files), "--out", tmp_path / "run") == 2
        assert "charades.csv: is a table of durations, which follows the file of its sentences" in (
            capsys.readouterr().err)


def test_a_damaged_file_of_sentences_is_not_taken_for_json(folder, tmp_path, capsys):
    (folder / "swapped.txt").write_text("someone opens a door##AAAAA 1.0 4.5\n")
    assert hicm("train", settings(folder, "charades", "swapped.txt", "charades.csv"), "--out", tmp_path / "run") == 2
    said = capsys.readouterr().err
    assert "swapped.txt: " in said and "charades_sta" in said and "json (line" not in said


def test_two_files_of_sentences_are_refused(folder, tmp_path, capsys):
    """Only the first would be read; the table belongs to the second."""
    (folder / "more.txt").write_text(STA)
    for command in (["train", "--out", tmp_path / "run"], ["data", "check"]):
        files = settings(folder, "charades", "sta.txt", "more.txt", "charades.csv")
        assert hicm(*command, files) in (1, 2)
        said = "".join(capsys.readouterr())
        assert "split train has 2 files of sentences" in said and "only the first would be read" in said


def test_a_test_split_without_labels_is_named(folder, tmp_path, capsys):
    bare = [{key: row[key] for key in ("qid", "query", "vid", "duration")} for row in RATED]
    (folder / "bare.jsonl").write_text("\n".join(map(json.dumps, bare)))
    config = settings(folder, "rated", "rated.jsonl", fps=0.5)
    assert hicm("train", config, "--set", f"data.annotations.val=[{folder / 'bare.jsonl'}]", "--out",
                tmp_path / "run") == 2
    assert "split val, which selects the checkpoint: annotations: no query has a true window" in (
        capsys.readouterr().err)


def test_a_table_of_durations_may_have_dots_in_its_name(folder):
    other = folder / "charades.v1.csv"
    other.write_text(CHARADES)
    assert annotators([str(folder / "sta.txt"), str(other)]) == [(str(folder / "sta.txt"), str(other))]


def test_a_table_of_windows_is_trained_on(folder):
    """It ends as lists of videos do."""
    (folder / "windows.csv").write_text("query_id,video,duration,start,end,sentence\n7,AAAAA,11,0,5,a dog\n"
                                        "8,BBBBB,11,2,4,a cat\n7,AAAAA,11,8,9,a dog\n")
    config = load_config(settings(folder, "charades", "windows.csv"))
    one, two = open_samples(config.data, "train")
    assert [(query.id, query.windows.tolist()) for sample in (one, two) for query in sample.queries] == [
        ("7", [[0, 5], [8, 9]]), ("8", [[2, 4]])]


def test_a_run_is_selected_scored_and_compared_as_moments(charades, capsys):
    config = load_config(charades / "config.yaml")
    assert (config.train.select_on, config.evaluate.protocol) == ("mAP", "hicm"), "the room's own defaults"
    log = (charades / "stats.jsonl").read_text()
    assert all(f'"{metric}"' in log for metric in ("mAP", "R1@0.5", "R1@0.7", "mIoU"))
    assert hicm("predict", charades) == 0
    content = read_json(charades / "predictions_val.json")
    assert content["task"] == "moments" and list(content["results"]) == ["AAAAA", "BBBBB"]
    capsys.readouterr()
    assert hicm("evaluate", charades) == 0
    scores = read_json(charades / "metrics_val.json")
    assert scores["protocol"] == "hicm" and {"R1@0.5", "mIoU", "mAP"} <= scores["scores"].keys()
    assert hicm("evaluate", charades, "--protocol", "mesm-charades", "--metrics", "mIoU") == 0
    assert hicm("evaluate", charades / "predictions_val.json", *config.data.annotations["val"]) == 0
    assert hicm("compare", charades, charades, "--samples", "10", "--metrics", "mIoU") == 0
    capsys.readouterr()
    assert hicm("moments", "evaluate", charades, "--metrics", "mIoU") == 0
    assert "\nproto:hicm|metrics:mIoU|" in capsys.readouterr().out, "under the settings of the run"
    assert hicm("moments", "evaluate", charades.parent) == 2
    assert "config.yaml: run not found; give a folder that 'hicm train' wrote" in capsys.readouterr().err
    assert hicm("evaluate", charades, "--jobs", "2") == 2
    assert "--jobs is for dense captions" in capsys.readouterr().err


def test_runs_with_other_annotations_are_not_compared(folder, charades, tmp_path, capsys):
    """Unless it is said by which both are scored."""
    assert hicm("predict", charades) == 0
    other = shutil.copytree(charades, tmp_path / "other")
    (folder / "less.txt").write_text(STA.splitlines()[0] + "\n")
    text = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(text.replace("sta.txt", "less.txt"))
    capsys.readouterr()
    assert hicm("compare", charades, other, "--metrics", "mIoU") == 2
    assert f"{other}: has other annotations than {charades}; name the annotation file that both are scored by" in (
        capsys.readouterr().err)
    files = load_config(charades / "config.yaml").data.annotations["val"]
    assert hicm("compare", charades, other, *files, "--metrics", "mIoU", "--samples", "10") == 0


def test_a_held_out_part_keeps_the_ids_of_the_file(folder):
    half = ["data.holdout=0.5", "data.holdout_seed=1"]
    config = load_config(settings(folder, "charades", "sta.txt", "charades.csv"), half)
    [held] = split_references(config.data, "holdout")
    made = [query.id for video in held.values() for query in queries_of(video)]
    task = find_task("moments")
    [(_, made_up)] = task.made_up(list(held.values()))
    result = task.evaluate({"results": made_up}, [held], "hicm", metrics=["mIoU"])
    assert list(result.queries) == made and set(made) < {"0", "1", "3"}


def test_ratings_become_targets_and_moments_are_drawn(folder):
    config = load_config(settings(folder, "rated", "rated.jsonl", fps=0.5, windows=2))
    system = find_system("moments").prepare(config, folder, open_samples(config.data, "train"))
    drawn = set()
    for epoch in range(20):
        [batch] = system.batches([[(epoch, 0)]])
        assert batch.queries == ("8", "9") and batch.counts.tolist() == [2, 2]
        assert batch.ratings[0].tolist() == [0, 9, 3, 0, 0, 6, 0, 0, 0, 0, 0]
        assert batch.relevant[1].nonzero().squeeze(1).tolist() == [0, 2, 4, 6, 8]
        drawn.add(tuple(round(float(one) * 22) for one in batch.windows[1, :, 0]))
        [again] = system.batches([[(epoch, 0)]])
        assert again.windows.tolist() == batch.windows.tolist(), "a function of the epoch"
    assert len(drawn) > 5 and all(first < second for first, second in drawn)


def test_highlights_are_scored(folder, tmp_path, capsys):
    run = tmp_path / "run"
    assert hicm("train", settings(folder, "rated", "rated.jsonl", fps=0.5), "--out", run, "--set",
                "evaluate.protocol=qvhighlights") == 0
    assert hicm("predict", run) == 0 and hicm("evaluate", run) == 0
    assert {"HL-mAP-VeryGood", "HL-Hit1-Fair"} <= read_json(run / "metrics_val.json")["scores"].keys()


def test_tacos_is_read_in_seconds(folder):
    config = load_config(settings(folder, "tacos", "tacos.json"))
    [sample] = open_samples(config.data, "train")
    assert sample.duration == 11.0
    assert [query.windows.tolist() for query in sample.queries] == [[[0, 2]], [[3, 5]]]


def test_a_file_that_is_no_annotation_keeps_its_message(folder, tmp_path, capsys):
    (tmp_path / "list.json").write_text("[1, 2]")
    assert hicm("train", settings(folder, "tacos", "tacos.json"), "--set",
                f"data.annotations.train=[{tmp_path / 'list.json'}]", "--out", tmp_path / "run") == 2
    assert "list.json: expected {video id: {duration, timestamps, sentences}}" in capsys.readouterr().err
