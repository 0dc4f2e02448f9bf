"""What would go wrong at the first evaluation is said before the first step."""

import json
import re
from pathlib import Path

import pytest
import torch

from hicm.cli import main
from hicm.config import load_config
from hicm.data.annotations import read_annotations
from hicm.dvc_eval import PROTOCOLS
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.report.score_tables import metric_label
from hicm.systems.captioner.batches import in_batches
from hicm.systems.captioner.search import sampled
from hicm.systems.captioner.settings import DecodeSettings
from hicm.tasks import find_task
from hicm.training.evaluators import check_scoring, score_selection
from tests.tiny import make_tiny

DVC = find_task("dvc")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("tiny"), videos=4, train__epochs=1, train__eval_every=1)


def check(tiny: Path, *overrides: str) -> None:
    config = load_config(tiny, overrides)
    check_scoring(config, DVC, list(read_annotations(config.data.annotations["val"][0]).values()))


def test_a_sum_of_scores_selects(tiny, tmp_path):
    check(tiny, "evaluate.protocol=activitynet-2018", "train.select_on=METEOR+soda_c")
    with pytest.raises(UserError, match=r"train.select_on: 'soda' is no score .*; the nearest is 'soda_c'"):
        check(tiny, "evaluate.protocol=activitynet-2018", "train.select_on=METEOR+soda")
    run = tmp_path / "run"
    settings = ["--set", "system=parallel", "--set", "train.select_on=METEOR+soda_c"]
    assert main(["train", str(tiny), "--out", str(run), *settings]) == 0
    [scores] = [line["metrics"] for line in map(json.loads, (run / "stats.jsonl").open()) if "metrics" in line]
    best = read_json(run / "best" / "parallel.json", "description")
    assert best["score"] == scores["METEOR+soda_c"] == scores["METEOR"] + scores["soda_c"] > 0
    assert best["metric"] == "METEOR+soda_c" and metric_label("METEOR+soda_c") == "METEOR+SODA_c"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_selects_or_is_refused(tiny, protocol):
    """Under whatever metric it has; what is not refused scores any predictions, none at all included."""
    metrics = DVC.metrics(protocol)
    overrides = [f"evaluate.protocol={protocol}", f"train.select_on={metrics[-1]}"]
    if PROTOCOLS[protocol].pairing == "order":
        with pytest.raises(UserError, match=f"evaluate.protocol: {protocol} cannot select a checkpoint: it refuses"):
            check(tiny, *overrides)
        return
    check(tiny, *overrides)
    config = load_config(tiny, overrides)
    videos = read_annotations(config.data.annotations["val"][0])
    for events in ({}, {next(iter(videos)): [{"sentence": "", "timestamp": [1, 1]}]}):
        scores = score_selection(config, DVC, {video: events.get(video, []) for video in videos}).scores
        assert metrics[-1] in scores and {"CIDEr", "F1", "soda_d"} & set(metrics) <= scores.keys()


@pytest.mark.parametrize(("overrides", "said"), [
    (["train.select_on=CIDER"], "train.select_on: 'CIDER' is no score of protocol vidchapters; the nearest is 'CIDEr'"),
    (["train.select_on=ROUGE_L"], "train.select_on: 'ROUGE_L' is no score of protocol vidchapters; the nearest is 'R"),
    (["evaluate.protocol=soda", "train.select_on=CIDEr"], "'CIDEr' is no score of protocol soda; .*known: soda_a_p"),
    (["evaluate.protocol=vidchapter"], "protocol 'vidchapter' is unknown; the nearest is 'vidchapters'"),
    (["captioner.decode.sample=true", "captioner.decode.temperature=0"], "captioner.decode: .*strictly positive float"),
    (["captioner.decode.repetition_penalty=0"], "captioner.decode: .*strictly positive float"),
    (["system=recall", "train.select_on=soda"], "train.select_on: 'soda' is no score of protocol vidchapters"),
])
def test_a_setting_that_evaluation_refuses(tiny, tmp_path, capsys, overrides, said):
    options = [word for override in overrides for word in ("--set", override)]
    assert main(["train", str(tiny), "--out", str(tmp_path / "run"), *options]) == 2
    error, = [line for line in capsys.readouterr().err.splitlines() if line.startswith("hicm: error")]
    assert re.search(said, error)
    log = tmp_path / "run" / "stats.jsonl"
    assert not (tmp_path / "run" / "checkpoint.pt").exists() and (not log.exists() or not log.read_text())


def test_a_metric_that_cannot_be_computed_here(tiny, monkeypatch):
    class Without:
        scores, left_out = {}, {"soda_d": "numba is not installed"}

    monkeypatch.setattr("hicm.training.evaluators.score_selection", lambda *_: Without)
    with pytest.raises(UserError, match=r"soda_d cannot be computed here .numba is not installed.; select on another"):
        check(tiny)


def test_a_validation_video_that_evaluation_refuses(tiny, tmp_path, capsys):
    """So does the check."""
    val = read_json(tiny.parent / "data" / "val.json")
    video = list(val)[1]
    path = write_json(tmp_path / "val.json", val | {video: val[video] | {"timestamps": [], "sentences": []}})
    assert main(["data", "check", str(tiny), "--shallow", "--set", f"data.annotations.val={path}"]) == 1
    assert f"error: {path}: 1 videos without events: {video}; they cannot be scored" in capsys.readouterr().out
    assert main(["train", str(tiny), "--out", str(tmp_path / "run"), "--set", f"data.annotations.val={path}"]) == 2
    error = capsys.readouterr().err
    assert str(path) in error and f"video {video}: no events" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("error", "kind", "said"), [
    (RuntimeError("DefaultCPUAllocator: can't allocate memory"), UserError, "lower captioner.decode.beams or"),
    (torch.OutOfMemoryError("CUDA out of memory."), UserError, "out of memory with one video"),
    (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), RuntimeError, "size of tensor"),
])
def test_only_what_settings_cause_is_no_bug(error, kind, said):
    def fail(_):
        raise error

    with pytest.raises(kind, match=said):
        next(in_batches([0], 8, fail))


def test_sampling_from_no_probabilities():
    draw = sampled(DecodeSettings(sample=True), [torch.Generator()])
    with pytest.raises(UserError, match="cannot be generated under these settings"):
        draw(torch.full((1, 60), torch.nan), torch.tensor([0]))


def test_scores_of_the_end_are_known_before_training(tiny, tmp_path, capsys):
    """Nothing computes them before `hicm evaluate`."""
    out = tmp_path / "run"
    for setting in ("evaluate.metrics=[CIDER]", "evaluate.protocol=charades"):
        assert main(["train", str(tiny), "--out", str(out), "--set", setting, "--set", "train.eval_every=0"]) == 2
        assert f"error: {setting.partition('=')[0]}: " in capsys.readouterr().err and not out.exists()
