"""data.holdout: videos that select the checkpoint and that neither training nor the memory ever sees."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm import verbs
from hicm.config import Config, DataConfig, load_config, save_config
from hicm.data.annotations import read_split, split_files, split_references
from hicm.data.holdout import describe_selection, is_held_out
from hicm.dvc_eval import evaluate
from hicm.errors import UserError
from hicm.files import read_json
from hicm.memory.bank import load_bank
from hicm.memory.captions import read_captions
from hicm.report.facts import selection
from hicm.report.runs import read_references, read_runs
from hicm.stages import train as stage
from hicm.stages.build_memory import build_memory
from hicm.stages.check import check_data
from hicm.stages.train import train
from hicm.training import evaluators
from tests.tiny import make_tiny

IDS = st.lists(st.text("abcdefghijkl0123-_", min_size=11, max_size=11), unique=True, max_size=60)


def write(path: Path, ids: list[str]) -> DataConfig:
    entry = {"duration": 9.0, "timestamps": [[0, 3]], "sentences": ["stir"]}
    path.write_text(json.dumps(dict.fromkeys(ids, entry)))
    return DataConfig(annotations={"train": [str(path)], "val": [str(path)]}, holdout=0.25)


def both(config: DataConfig) -> tuple[set[str], set[str]]:
    return set(read_split(config, "train")), set(read_split(config, "holdout"))


@given(IDS, st.floats(0.01, 0.5), st.integers(0, 9), st.randoms())
@settings(deadline=None)
def test_the_hash_alone_decides(ids, share, seed, random):
    config = DataConfig(holdout=share, holdout_seed=seed)
    chosen = {video for video in ids if is_held_out(config, video)}
    random.shuffle(ids)
    assert chosen == {video for video in ids if is_held_out(config, video)}
    more = dataclasses.replace(config, holdout=min(1, 2 * share))
    assert all(is_held_out(more, video) for video in chosen), "a larger share holds out what a smaller one does"
    assert all(is_held_out(config, f"{n}_{video}") for video in chosen for n in range(3)), "annotators go together"


def test_clips_of_a_video_go_together_and_others_do_not(tmp_path):
    """QVHighlights: thousands of clips end in the same few times."""
    ids = [f"video{i:06d}_{start}.0_{start + 150}.0" for i in range(1000) for start in (60, 210)]
    rest, out = both(write(tmp_path / "train.json", ids))
    assert 2 * 205 < len(out) < 2 * 295 and len(out) + len(rest) == 2000
    assert not {video[:11] for video in rest} & {video[:11] for video in out}


def test_two_parts_that_make_the_file_whatever_its_order(tmp_path):
    ids = [f"video{i:06d}" for i in range(2000)]
    config = write(tmp_path / "train.json", ids)
    rest, out = both(config)
    assert not rest & out and rest | out == set(ids)
    assert 440 < len(out) < 560, "a quarter, within three standard deviations"
    assert list(read_split(config, "holdout")) == [video for video in ids if video in out], "file order"
    assert both(write(tmp_path / "turned.json", ids[::-1])) == (rest, out)
    assert both(write(tmp_path / "half.json", ids[::2])) == (rest & set(ids[::2]), out & set(ids[::2]))
    assert both(dataclasses.replace(config, holdout_seed=1))[1] != out
    assert set(read_split(config, "val")) == set(ids), "other splits are whole"


def test_zero_changes_nothing(tmp_path):
    config = dataclasses.replace(write(tmp_path / "train.json", ["a", "b"]), holdout=0.0, select="val")
    assert list(read_split(config, "train")) == ["a", "b"] and config.select == "val"
    assert split_references(config, "train") == split_files(config, "train")
    with pytest.raises(UserError, match="no files for split 'holdout'"):
        read_split(config, "holdout")
    assert Config().bank == load_config(None, ["data.holdout=0"]).bank


def test_one_setting_is_enough_and_survives_saving():
    config = load_config("configs/yc2.yaml", ["data.holdout=0.1"])
    assert (config.data.select, config.data.report) == ("holdout", "val")
    assert config.bank == Path("presave/yc2/bank_holdout0.1_0"), "not the folder of the whole bank"
    assert describe_selection(config) == "best CIDEr on 10 % of train held out"


@pytest.mark.parametrize(("override", "said"), [
    ("data.holdout=0", "best CIDEr on split val, which is also the reported split"),
    ("data.report=holdout", "best CIDEr on 10 % of train held out, which is also the reported split"),
    ("train.eval_every=0", "last checkpoint: nothing is evaluated while training")])
def test_the_selection_is_told_truly(override, said):
    assert describe_selection(load_config(None, ["data.holdout=0.1", "data.select=val", override])) == said


@pytest.mark.parametrize(("ids", "share", "match"), [
    (["a"], 0.01, "data.holdout=0.01: holds out none of the 1 videos of split train"),
    (["b"], 0.5, "data.holdout=0.5: leaves none of the 1 videos of split train")])
def test_an_empty_part_is_refused(tmp_path, ids, share, match):
    config = dataclasses.replace(write(tmp_path / "train.json", ids), holdout=share)
    seed = next(seed for seed in range(99) if is_held_out(dataclasses.replace(config, holdout_seed=seed), ids[0])
                == (share == 0.5))
    with pytest.raises(UserError, match=match):
        both(dataclasses.replace(config, holdout_seed=seed))


def test_a_split_of_that_name_is_refused(tmp_path):
    config = write(tmp_path / "train.json", ["a"])
    config.annotations["holdout"] = ["x.json"]
    with pytest.raises(UserError, match=r"data.holdout makes; rename"):
        read_split(config, "holdout")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Settings with a part held out, their bank, and a bank of all captions."""
    path = make_tiny(tmp_path_factory.mktemp("holdout"), videos=12, train__epochs=1, train__eval_every=1)
    whole = load_config(path)
    part = load_config(path, ["data.holdout=0.3", f"memory.path={whole.bank}-part"])
    build_memory(part)
    return whole, part


def test_held_out_videos_write_nothing_in_the_memory(tiny):
    whole, part = tiny
    out = set(read_split(part.data, "holdout"))
    assert out and set(load_bank(whole.bank).leaves.videos) & out == out
    assert set(load_bank(part.bank).leaves.videos) == set(read_split(part.data, "train"))
    by_file, by_split = (read_captions(part.data, sources).texts
                         for sources in (part.data.annotations["train"], part.memory.source))
    assert by_file == by_split, "nor by file name"


def test_held_out_videos_select_and_do_not_train(tiny, tmp_path, monkeypatch):
    _, part = tiny
    seen = {}

    class Spy(evaluators.Selection):
        def __init__(self, config, system, samples):
            seen.update({"train": set(system.dataset.samples.ids), "select": set(samples.ids)})
            super().__init__(config, system, samples)

        def _score(self, predictions):
            seen["scored"] = set(predictions)
            return super()._score(predictions)

    monkeypatch.setattr(stage, "Selection", Spy)
    train(part, "run", tmp_path / "run")
    out = set(read_split(part.data, "holdout"))
    assert seen == {"train": set(read_split(part.data, "train")), "select": out, "scored": out}
    manifest = read_json(tmp_path / "run" / "manifest.json")
    assert manifest["selected_on"] == "best soda_d on 30 % of train held out"
    assert manifest["settings"]["data"]["select"] == "holdout"

    # the held-out part can be captioned, scored and shown like any split
    verbs.predict(str(tmp_path / "run"), split="holdout")
    annotators, notes = read_references(part, "holdout")
    assert [set(videos) for videos in annotators] == [out] and not notes
    scores = evaluate(tmp_path / "run" / "predictions_holdout.json", annotators, metrics=["F1"])
    assert not scores.coverage["missing"] and not scores.coverage["unknown"]
    (run,), _ = read_runs([tmp_path / "run"], "holdout")
    said, same = selection([run], "holdout")
    assert said.startswith("Trained on split train without the 30 % held out; checkpoint chosen by SODA")
    assert "on 30 % of train held out; shown here: “holdout”" in said and same


def test_scores_of_a_run_that_reports_the_held_out_part(tmp_path):
    config = dataclasses.replace(write(tmp_path / "train.json", [f"v{i}" for i in range(40)]), report="holdout")
    (tmp_path / "run").mkdir()
    save_config(Config(data=config), tmp_path / "run" / "config.yaml")
    out = read_split(config, "holdout")
    told = {video: [{"sentence": "stir", "timestamp": [0, 3]}] for video in out}
    (tmp_path / "run" / "predictions_holdout.json").write_text(json.dumps({"results": told}))
    scores = verbs.evaluate(str(tmp_path / "run"), metrics=["F1"]).results[0]
    assert scores.scores["F1"] == 1 and not scores.coverage["missing"]


def test_a_memory_that_knows_held_out_captions_is_refused(tiny, tmp_path):
    whole, part = tiny
    mixed = dataclasses.replace(part, memory=whole.memory)
    with pytest.raises(UserError, match=r"was built with captions of . held-out videos"):
        train(mixed, "run", tmp_path / "run")


def test_data_check_says_how_it_is_selected(tiny):
    whole, part = tiny
    told = str(check_data(part))
    out = len(read_split(part.data, "holdout"))
    assert "selection: best soda_d on 30 % of train held out\n" in told
    assert f"held out: {out} videos of train neither train nor fill the memory" in told and check_data(part).ok
    assert "selection: best soda_d on split val, which is also the reported split" in str(check_data(whole))


def test_yc2_holds_out_a_tenth(shared):
    config = DataConfig(annotations={"train": [str(shared / "data" / "yc2" / "train.json")]}, holdout=0.1)
    rest, out = both(config)
    assert (len(rest) + len(out), abs(len(out) - 133) < 33) == (1333, True)
