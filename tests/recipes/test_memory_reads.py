"""The parts of the memory benchmark: other videos, copied words, intervals, held-out files, conditions, tables."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.config import DataConfig, load_config
from hicm.data.annotations import read_split
from hicm.data.features import open_features, write_features
from hicm.data.holdout import is_held_out
from hicm.data.ids import youtube_id
from hicm.data.samples import open_samples
from hicm.dvc_eval import evaluate
from hicm.encoders import make_encoder
from hicm.errors import UserError
from hicm.evaluation.intervals import Interval, bootstrap, resampled_scores
from hicm.evaluation.measures import mean_measure
from hicm.recipes.memory_reads import asking
from hicm.recipes.memory_reads.asking import caption_queries
from hicm.recipes.memory_reads.conditions import CONDITIONS, base_of, overrides, parse_condition, why_not
from hicm.recipes.memory_reads.examples import examples, nearest_caption
from hicm.recipes.memory_reads.held import write_parts
from hicm.recipes.memory_reads.intervals import Bootstrap
from hicm.recipes.memory_reads.measured import METRICS, PROTOCOL, Measured, read_statistics, write_statistics
from hicm.recipes.memory_reads.others import by_hash, exchanged_features, exchanged_settings, other_videos
from hicm.recipes.memory_reads.page import marks, replace_part
from hicm.recipes.memory_reads.sayings import copy_rate, variety
from hicm.recipes.memory_reads.spec import Cell, Spec, read_spec
from hicm.recipes.memory_reads.table import Measurements, tables
from hicm.retrieval.others import of_others
from hicm.rooms import check_settings
from hicm.stages.retrieve import with_recall
from hicm.types import Event, Span, Video
from tests.scripts import load_script
from tests.tiny import make_tiny

ROOT = Path(__file__).resolve().parents[2]


# other videos

@given(st.lists(st.text("abcdef", min_size=1, max_size=5), min_size=3, unique=True), st.randoms())
def test_every_video_gets_another_one_whatever_the_order(ids, random):
    found, shuffled = other_videos(ids), list(ids)
    random.shuffle(shuffled)
    assert sorted(found.values()) == sorted(ids) and other_videos(shuffled) == found
    for video, other in found.items():
        assert video != other and found[other] != video, "twice gives a third one: the control is no own text"


def test_annotators_of_one_video_get_the_same_other_one():
    ids = ["0_aaaaaaaaaaa", "1_aaaaaaaaaaa", "0_bbbbbbbbbbb"]
    found = other_videos(ids)
    assert found["0_aaaaaaaaaaa"] == found["1_aaaaaaaaaaa"] == "0_bbbbbbbbbbb"
    assert youtube_id(found["0_bbbbbbbbbbb"]) == "aaaaaaaaaaa"
    with pytest.raises(UserError, match="no other one"):
        other_videos(ids[:2])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("tiny"), videos=6)


def test_exchanged_features_are_those_of_the_other_video_at_one_row_per_second(tiny, tmp_path):
    data = replace(load_config(tiny).data, feature_fps=2.0)
    samples = open_samples(data, "val")
    others = other_videos(samples.ids)
    path = exchanged_features(samples, others, tmp_path)
    stamp = path.stat().st_mtime_ns
    assert exchanged_features(samples, others, tmp_path) == path and path.stat().st_mtime_ns == stamp
    assert exchanged_settings(data, path) == [f"data.features={path}", "data.feature_array=", "data.feature_fps=1.0"]
    for video, other in others.items():
        np.testing.assert_array_equal(open_features(path).read(video), samples.features.read(other))


def test_captions_ask_in_the_time_of_their_events(tiny, tmp_path):
    config = load_config(tiny, ["retrieval.read=items", "captioner.memory_as=text", "retrieval.search=flat",
                                "retrieval.flat_level=0", "retrieval.top_k=1", "retrieval.window_shape=ward",
                                "retrieval.windows=10"])
    annotated = dict(read_split(config.data, "train"))
    samples, encoder = open_samples(config.data, "train"), make_encoder(config.memory.encoder)
    path = caption_queries(samples, annotated, encoder, tmp_path)
    assert caption_queries(samples, annotated, encoder, tmp_path) == path
    asked = with_recall(config, samples.with_features(open_features(path)), "train", tmp_path / "recalled.h5")
    for row, video in enumerate(samples.ids):
        tokens = asked[row].recalled
        assert {one.text for one in annotated[video].events} <= {*tokens.texts}, "a caption recalls itself"
    rows, event = open_features(path).read(video), annotated[video].events[0]
    middle = int((event.span.start + event.span.end) / 2)
    np.testing.assert_allclose(rows[middle], encoder.encode([event.text])[0], atol=1e-3)
    assert {len(rows)} == {len(samples.features.read(video))}


def test_short_events_ask_within_long_ones_and_all_of_them_ask(tiny):
    config = load_config(tiny)
    samples, encoder = open_samples(config.data, "train"), make_encoder(config.memory.encoder)
    name = samples.ids[0]
    spans = {"cut it": (4.0, 8.0), "stir": (2.7, 3.3), "the whole": (0.0, 60.0)}
    video = Video(name, 60.0, tuple(Event(Span(*span), text) for text, span in spans.items()))
    rows = asking._rows(60, 1.0, video, encoder).astype(np.float32)
    said = dict(zip(spans, encoder.encode(list(spans)), strict=True))
    for place, text in ((5, "cut it"), (2, "stir"), (0, "the whole"), (30, "the whole")):
        np.testing.assert_allclose(rows[place], said[text], atol=1e-3, err_msg=f"{place}: {text}")


def test_a_row_of_the_queries_decides_what_is_recalled(tiny, tmp_path):
    config = load_config(tiny)
    samples = open_samples(config.data, "val")
    files = []
    for number in range(2):
        rows = {video: np.array(samples.features.read(video)) for video in samples.ids}
        rows[samples.ids[0]][5] += number
        files.append(write_features(tmp_path / f"queries_{number}.h5", rows))
    with_recall(config, samples.with_features(open_features(files[0])), "val", tmp_path / "r.h5", queries=files[0])
    with pytest.raises(UserError, match="queries: other content"):
        with_recall(config, samples.with_features(open_features(files[1])), "val", tmp_path / "r.h5", queries=files[1])


def test_what_another_video_recalls_is_read(tiny, tmp_path):
    config = load_config(tiny, ["retrieval.read=items", "captioner.memory_as=text"])
    samples = with_recall(config, open_samples(config.data, "val"), "val", tmp_path / "recalled.h5")
    others = other_videos(samples.ids)
    exchanged = samples.with_recall(of_others(samples, others))
    for row, video in enumerate(samples.ids):
        expected = samples[samples.ids.index(others[video])].recalled
        assert exchanged[row].recalled.texts == expected.texts != samples[row].recalled.texts
        np.testing.assert_array_equal(exchanged[row].rows, samples[row].rows)
    with pytest.raises(UserError, match="expected another video of the split"):
        of_others(samples, {})
    with pytest.raises(UserError, match="no memory is recalled"):
        of_others(open_samples(config.data, "val"), others)


# what is said

def test_copied_runs_of_four_words():
    predicted = {"a": ["Add the salt to the pan."], "b": ["stir it"]}
    read = {"a": ["now add the salt to it"], "b": ["add the salt to the pan"]}
    assert copy_rate(predicted, read) == pytest.approx(1 / 3)  # of "add the salt to", "the salt to the", ...
    assert copy_rate(predicted, read, {"a": "b", "b": "a"}) == 1.0
    assert copy_rate({"a": ["stir it"]}, read) is None and copy_rate(predicted, {}) == 0.0


def test_variety():
    found = variety({"a": ["add salt.", "add salt."], "b": ["stir"], "c": []})
    assert found == {"distinct": pytest.approx(2 / 3), "events": 1.0, "words": pytest.approx(5 / 3)}
    assert variety({"a": []}) == {"distinct": 0.0, "events": 0.0, "words": 0.0}


# intervals

def trained(*means, videos=40, noise=0.05):
    """A metric of as many seeds, whose videos vary in the same way."""
    rows = np.random.default_rng(3).normal(0, noise, videos)
    return {seed: mean_measure("CIDEr", (mean + rows - rows.mean())[:, None]) for seed, mean in enumerate(means)}


def test_conditions_of_a_cell_share_videos_and_seeds():
    own = trained(0.2, 0.4, 0.6)
    half = {seed: replace(one, statistics=one.statistics * [0.5, 1]) for seed, one in own.items()}
    found = Bootstrap({("x", "own"): own, ("x", "frames"): half, ("y", "own"): half})
    change = found.change(("x", "frames"), ("x", "own"))
    assert change.relative == pytest.approx(-0.5)
    assert (change.interval.low, change.interval.high) == (pytest.approx(-0.5), pytest.approx(-0.5))
    apart = found.change(("y", "own"), ("x", "own"))
    assert apart.relative == pytest.approx(-0.5) and apart.interval.high - apart.interval.low > 0.3, "other trainings"


def test_one_seed_leaves_the_interval_over_videos():
    own, other = trained(0.3), trained(0.45)
    found = Bootstrap({("x", "own"): own, ("y", "own"): other}, samples=500, seed=7)
    drawn = resampled_scores({"x": own[0], "y": other[0]}, 500, 7)
    low, high = np.quantile(drawn["y"] / drawn["x"] - 1, [0.025, 0.975])
    assert found.change(("y", "own"), ("x", "own")).interval == Interval(pytest.approx(low), pytest.approx(high))
    assert found.interval(("x", "own")) == bootstrap({"x": own[0]}, 500, 7)["x"]


def test_seeds_widen_an_interval_and_it_covers_the_difference():
    close, apart = trained(0.30, 0.30, 0.30), trained(0.25, 0.30, 0.35)
    found = Bootstrap({("x", "own"): trained(0.2, 0.2, 0.2), ("y", "own"): close, ("z", "own"): apart})
    widths = [(one := found.change((name, "own"), ("x", "own")).interval).high - one.low for name in "yz"]
    assert widths[1] > 2 * widths[0] > 0
    one = found.change(("z", "own"), ("x", "own"))
    assert one.relative == pytest.approx(0.5) and one.interval.low < 0.5 < one.interval.high


def test_where_there_is_no_interval():
    few = Bootstrap({("x", "own"): trained(0.2, videos=5), ("y", "own"): trained(0.3, videos=5)})
    assert few.change(("y", "own"), ("x", "own")).interval is None is few.interval(("x", "own"))
    none = Bootstrap({("x", "own"): trained(0.0, noise=0), ("y", "own"): trained(0.3)})
    assert none.change(("y", "own"), ("x", "own")).relative is None
    seeds = Bootstrap({("x", "own"): trained(0.2, 0.3), ("x", "frames"): {1: trained(0.2, 0.3)[1]}})
    assert seeds.change(("x", "frames"), ("x", "own")).relative == pytest.approx(0), "on the seeds that both have"
    with pytest.raises(UserError, match="different numbers of videos"):
        Bootstrap({("x", "own"): trained(0.2), ("y", "own"): trained(0.2, videos=7)})


def test_statistics_give_the_scores_again(tmp_path):
    events = [{"sentence": "add salt to it", "timestamp": [0, 9]}, {"sentence": "stir it", "timestamp": [9, 20]}]
    reference = {"duration": 20, "timestamps": [[0, 10], [8, 20]], "sentences": ["add salt to it", "stir it all"]}
    result = evaluate({"a": events, "b": []}, {"a": reference, "b": reference}, PROTOCOL, metrics=list(METRICS))
    digest = write_statistics(result, tmp_path / "rows.npz")
    videos, measures = read_statistics(tmp_path / "rows.npz", digest)
    assert videos == result.videos
    assert {name: one.score() for name, one in measures.items()} == pytest.approx(result.scores)
    with pytest.raises(UserError, match="was changed"):
        read_statistics(tmp_path / "rows.npz", "other")


# held-out files

def test_held_out_files_are_the_parts_of_data_holdout(tiny, tmp_path, capsys):
    source = tiny.parent / "data" / "train.json"
    script = load_script("hold_out")
    assert script.main([str(source), "--out", str(tmp_path), "--share", "0.5"]) == 0
    rest, held = (json.loads((tmp_path / name).read_text()) for name in ("train_part.json", "held.json"))
    everything = json.loads(source.read_text())
    assert rest | held == everything and not rest.keys() & held.keys() and rest and held
    assert all(is_held_out(DataConfig(holdout=0.5), name) == (name in held) for name in everything)
    stamps = [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())]
    write_parts(source, tmp_path, 0.5)
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())] == stamps
    assert script.main([str(source), "--out", str(tmp_path), "--share", "0.5", "--seed", "1"]) == 2
    assert "holds other videos or captions" in capsys.readouterr().err
    with pytest.raises(UserError, match="share is 0"):
        write_parts(source, tmp_path / "new", 0.9)
    assert not (tmp_path / "new").exists()


# conditions and specifications

TEXT = {"captioner.memory_as": "text", "retrieval.read": "items"}


def config_of(**changes):
    return load_config(None, [f"{name.replace('__', '.')}={value}" for name, value in changes.items()])


def test_conditions_that_say_nothing_are_named():
    none, vectors = config_of(retrieval__search="none"), config_of()
    text = config_of(captioner__memory_as="text", retrieval__read="items")
    assert [why_not(none, [name]) for name in ("own", "frames", "events")] == ["", "", ""]
    assert all(why_not(none, [name]) == "reads no memory" for name in ("random", "zero", "none", "swapped"))
    assert [name for name in CONDITIONS if why_not(vectors, [name])] == ["flat"]
    assert why_not(vectors, ["flat"]) == "reads several levels"
    assert why_not(config_of(retrieval__search="top_only"), ["flat"]) == "does not descend"
    assert [name for name in CONDITIONS if why_not(text, [name])] == ["zero", "flat"]
    leaves = config_of(captioner__memory_as="text", retrieval__read="items", retrieval__levels="[0]")
    assert [name for name in CONDITIONS if why_not(leaves, [name])] == ["zero"]
    assert why_not(config_of(retrieval__search="flat"), ["flat"]) == "is how it was trained"
    assert why_not(config_of(retrieval__search="random"), ["captions"]) == "does not look into the memory"
    assert why_not(config_of(system="recall"), ["random"]) == "searches the memory itself"
    assert why_not(config_of(retrieval__search="random"), ["random"]) == "is how it was trained"
    assert why_not(config_of(captioner__use_video="false", retrieval__search="none"), ["frames"]) == "sees no frames"


def test_random_nodes_come_from_the_level_that_is_read():
    assert overrides(config_of(), ["random"], 3) == ["retrieval.search=random", "retrieval.seed=3"]
    flat = config_of(retrieval__search="flat", retrieval__flat_level=0)
    assert overrides(flat, ["events", "random"], 3)[-1] == "retrieval.levels=[0]"
    descend = config_of(retrieval__levels="[2]", retrieval__beam=4)
    assert overrides(descend, ["flat"], 3) == ["retrieval.search=flat", "retrieval.flat_level=2", "retrieval.beam=0"]
    assert overrides(flat, ["none"], 3) == ["retrieval.search=none"] and overrides(flat, ["frames"], 3) == []


@pytest.mark.parametrize("name", ["", "other", "own+frames", "random+none", "frames+frames"])
def test_what_is_no_condition(name):
    with pytest.raises(UserError, match="condition"):
        parse_condition(name)


def test_what_conditions_are_compared_with():
    assert [base_of(name) for name in ("frames", "events", "events+random")] == ["own", "own", "events"]
    spec = Spec(conditions=["events+none", "random"])
    assert spec.conditions_of(Cell()) == ["own", "events", "events+none", "random"]


def write_spec(tiny, folder, **changes):
    content = {"base": str(tiny), "set": {"data.holdout": 0.5, "memory.path": ""}, "seeds": [0],
               "cells": [{"name": "none", "set": {"retrieval.search": "none"}}, {"name": "text", "set": TEXT}]}
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(content | changes))
    return path


def test_a_specification_says_what_is_trained(tiny, tmp_path):
    spec = read_spec(write_spec(tiny, tmp_path), seeds=[4, 4])
    config = spec.config(spec.cells[1], 4)
    assert (config.train.seed, config.data.report, config.room.memory_as) == (4, "holdout", "text")
    assert spec.seeds == [4] and spec.baseline == "none"


@pytest.mark.parametrize(("changes", "message"), [
    ({"cells": []}, "expected base"), ({"cell": []}, "unknown setting cell"), ({"baseline": "x"}, "no cell 'x'"),
    ({"cells": [{"name": "a/b"}]}, "name 'a/b'"), ({"cells": [{"name": "a"}, {"name": "a"}]}, "each name once"),
    ({"split": "train"}, "split train trains"), ({"set": {}}, "needs data.holdout"), ({"seeds": [-1]}, "seeds"),
    ({"conditions": ["shuffled"]}, "condition 'shuffled'"), ({"set": {"train.seed": 1}}, "train.seed follows from"),
    ({"cells": [{"name": "a", "set": {"train.epoch": 1}}]}, "train.epochs"),
])
def test_what_is_no_specification(tiny, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        read_spec(write_spec(tiny, tmp_path, **changes))


def test_the_committed_specification_is_one():
    spec = read_spec(ROOT / "configs" / "bench" / "memory_yc2_sim.yaml")
    assert {cell.name for cell in spec.cells} >= {"none", "descend"} and spec.split == "holdout"


@pytest.mark.filterwarnings("error:.*(without effect|no effect|sampled)")
def test_the_ways_to_read_vectors_are_trained_with_what_their_names_say():
    spec = read_spec(ROOT / "configs" / "bench" / "memory_reads_yc2_sim.yaml")
    read = {cell.name: spec.config(cell, 0) for cell in spec.cells}
    for config in read.values():
        check_settings(config)
    assert {name: config.retrieval.read for name, config in read.items()} == {
        "vectors": "mean", "weighted": "weighted", "gate": "mean", "items": "items", "noise": "items"}
    assert [name for name, config in read.items() if config.room.memory_gate] == ["gate"]
    assert [name for name, config in read.items() if config.room.memory_sample] == ["noise"]
    assert {config.room.memory_as for config in read.values()} == {"vectors"}


# tables and pages

def entry(cell, condition, seed, cider, **said):
    empty = {"distinct": 0.5, "events": 2.0, "words": 4.0, "copied": None, "copied_control": None}
    return Measured(cell, seed, "val", condition, "", "", "", "", "a machine", "2026-11-30T00:00:00", "", "", 40, "",
                    {"training": 60.0}, dict.fromkeys(METRICS, 0.25) | {"CIDEr": cider}, empty | said)


def test_tables():
    scored = {("none", "own"): (0.2, 0.3), ("text|2", "own"): (0.3, 0.4), ("text|2", "frames"): (0.1, 0.1)}
    entries = {key: {seed: entry(*key, seed, cider, copied=0.25, copied_control=0.125)
                     for seed, cider in enumerate(values)} for key, values in scored.items()}
    one = Bootstrap({key: trained(*values) for key, values in scored.items()})
    found = Measurements(entries, dict.fromkeys(("CIDEr", "METEOR", "soda_c", "F1_of_means"), one))
    spec = Spec(cells=[Cell("none"), Cell("text|2"), Cell("later")], conditions=["random", "frames"], baseline="none",
                split="val")
    text = tables(spec, found, {"none": {"random": "reads no memory"}})
    assert "| none | 25.00 (20.00, 30.00) | 25.00 (25.00, 25.00) |" in text and "later" not in text
    assert "| text\\|2 | 2 | +40.0 [" in text
    assert "| none | random | – (reads no memory) |" in text and "| text\\|2 | random" not in text
    [line] = [line for line in text.splitlines() if line.startswith("| text\\|2 | frames | 10.00 (10.00, 10.00) ")]
    assert "| -71.4 [" in line and line.endswith("| 50.0 | 25.0 | 12.5 |")
    for block in text.split("\n\n"):
        rows = [line.replace("\\|", "") for line in block.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1, "a table has as many cells in every row"


def test_examples_are_chosen_by_rule(tmp_path):
    events = tuple(Event(Span(start, start + 5.0), f"event {start}") for start in (10, 0, 30, 20))
    references = {name: Video(name, 40.0, events) for name in map(str, range(12))}
    told = [{"timestamp": [1, 5], "sentence": "first"}, {"timestamp": [19, 26], "sentence": "later"}]
    (tmp_path / "told.json").write_text(json.dumps({"results": dict.fromkeys(references, told)}))
    found = Measurements({("a", "own"): {0: replace(entry("a", "own", 0, 0), predictions="told.json")}}, {})
    lines = examples(references, found, ["a"], tmp_path).splitlines()[2:]
    assert len(lines) == 30 and [line.split(" | ")[0][2:] for line in lines[::3]] == by_hash(list(references))[:10]
    assert [line.partition(" | ")[2] for line in lines[:3]] == ["0-5 | event 0 | 1-5 first |", "10-15 | event 10 | – |",
                                                             "20-25 | event 20 | 19-26 later |"]
    assert nearest_caption([], events[0]) == "–"
    assert nearest_caption([{"timestamp": [10, 15], "sentence": "x" * 200}], events[0]) == f"10-15 {'x' * 120} ..."


@settings(max_examples=20)
@given(st.text("a\n|<", max_size=20))
def test_a_part_of_a_page_is_replaced_and_nothing_else(tmp_path_factory, text):
    path, (first, last) = tmp_path_factory.mktemp("page") / "page.md", marks("x")
    path.write_text(f"before\n\n{first}\nold\n{last}\n\nafter\n")
    for _ in range(2):
        replace_part(path, "x", text)
        assert path.read_text() == f"before\n\n{first}\n{text.strip()}\n{last}\n\nafter\n"


def test_a_page_without_marks_is_left_alone(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("\n".join(marks("y")))
    with pytest.raises(UserError, match="expected the lines '<!-- generated: x -->'"):
        replace_part(path, "x", "text")
    assert path.read_text() == "\n".join(marks("y"))


def test_the_page_of_benchmarks_has_a_place_for_the_committed_specifications():
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for name in ("memory_yc2_sim_val", "memory_anet_sim_val", "memory_yc2_hard_val", "memory_reads_yc2_sim_holdout"):
        assert all(page.count(mark) == 1 for mark in marks(f"memory_reads_{name}"))
