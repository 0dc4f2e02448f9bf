"""Tables, timelines, curves and memory paths by themselves."""

import math
import re
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from hicm.config import Config, load_config
from hicm.files import read_json, write_json
from hicm.report.curves import Panel, Series, panels
from hicm.report.facts import coverage_lines
from hicm.report.figures import LIGHT, draw_metrics, draw_panel, draw_timeline, timeline_figure
from hicm.report.runs import Run, read_runs, recalled_by
from hicm.report.score_tables import comparable, left_out, score_rows
from hicm.report.timeline import make_track, spread, ticks
from hicm.retrieval.store import open_retrieved
from hicm.stages.retrieve import retrieve
from hicm.types import Event, Span


def run(label="a", **content):
    return Run(Path(label), label, label, Config(), {}, **content)


# tables

def test_best_is_marked_unless_all_are_equal_as_printed():
    main, _ = score_rows([{"F1": 0.5, "CIDEr": 0.2}, {"F1": 0.500001, "CIDEr": 0.3}, {"CIDEr": 0.3}])
    rows = {row.name: row.cells for row in main}
    assert [cell.best for cell in rows["F1"]] == [False, False, False]
    assert [cell.best for cell in rows["CIDEr"]] == [False, True, True]
    assert [(cell.value, cell.difference) for cell in rows["F1"]] == [("50.00", ""), ("50.00", "+0.00"), ("–", "")]


def test_rows_come_in_a_fixed_order_and_thresholds_apart():
    names = ["Recall@0.9", "F1@0.3", "Recall@10s", "F1@3s", "Recall", "new", "METEOR", "soda_c", "Rouge-L"]
    main, single = score_rows([dict.fromkeys(names, 0.1)])
    assert [row.label for row in main] == ["SODA_c", "METEOR", "ROUGE-L", "Recall", "new"]
    assert [row.name for row in single] == ["F1@0.3", "Recall@0.9", "F1@3s", "Recall@10s"]
    assert single[2].meaning == "F1 of event times; events match if they start less than 3 s apart."
    assert score_rows([{}, {"F1": math.nan}]) == ([], [])


def test_intervals_stand_beside_their_scores():
    given = {"F1": [0.25, 0.5], "CIDEr": [0.1, math.nan], "Recall": 3}
    (f1, cider, recall), _ = score_rows([{"F1": 0.3, "CIDEr": 0.2, "Recall": 1.0}], [given])
    assert [row.cells[0].interval for row in (f1, cider, recall) if row.name == "F1"] == [(25.0, 50.0)]
    assert [row.cells[0].interval for row in (f1, cider, recall) if row.name != "F1"] == [(), ()]
    assert comparable(["proto:a|cov:3/4|boot:1000,seed=0", "proto:a|cov:3/4"])


def test_amounts_and_notes_stand_below_the_scores():
    side = {"videos": 2, "events": 3, "events_per_video": 1.5, "repeated_in_video": 0.25, "repeated": 0.5}
    scores = {"events": {"predicted": side, "reference": side}, "warnings": ["odd"], "notes": ["CIDEr is 0"]}
    runs = [run("a", metrics=scores), run("b", metrics={"events": {"predicted": {}}}), run("c", metrics={"events": 3})]
    assert coverage_lines(runs) == [
        "a: events per video: 1.50 predicted, 1.50 reference; repeated captions: predicted 25.0 % in a video, 50.0 % "
        "in all; reference 25.0 % in a video, 50.0 % in all", "a: odd", "a: CIDEr is 0"]


def test_equal_reasons_stand_together():
    reasons = {"METEOR": "no Java", "soda_c": "no Java", "CIDEr": "other"}
    runs = [run("a", metrics={"left_out": reasons}), run("b", metrics={"left_out": reasons}), run("c")]
    assert left_out(runs) == [("a, b", "no Java", ["METEOR", "SODA_c"]), ("a, b", "other", ["CIDEr"])]


# timelines

times = st.floats(-50, 400, allow_nan=False)


@given(st.lists(st.tuples(times, times), max_size=12), st.floats(1, 300))
def test_bars_stay_on_the_axis_and_never_cover_each_other(spans, duration):
    track = make_track("x", [Event(Span(*span), "a") for span in spans], duration)
    assert [bar.number for bar in track.bars] == list(range(1, len(spans) + 1))
    for bar in track.bars:
        assert 0 <= bar.start <= bar.end <= duration
        assert bar.lane < track.lanes
        for other in track.bars:
            if other.number > bar.number and other.lane == bar.lane:
                assert other.start >= bar.end - 1e-5


def test_odd_times_are_drawn():
    events = [Event(Span(9, 4), "reversed"), Event(Span(8, 30), "late"), Event(Span(0, 10), "fine")]
    assert [(bar.text, bar.start, bar.end, bar.lane) for bar in make_track("x", events, 10).bars] == [
        ("fine", 0, 10, 0), ("reversed", 4, 9, 1), ("late", 8, 10, 2)]


@given(st.dictionaries(st.text(max_size=4), st.floats(0, 1), min_size=1, max_size=40), st.integers(1, 45))
def test_spread_goes_from_best_to_worst(scores, count):
    chosen = spread(scores, count)
    ranks = [rank for _, rank in chosen]
    assert len(chosen) == min(count, len(scores)) and ranks == sorted(set(ranks))
    assert [scores[video] for video, _ in chosen] == sorted((scores[video] for video, _ in chosen), reverse=True)
    if count >= 3 and len(scores) >= 3:
        assert {1, (len(scores) - 1) // 2 + 1, len(scores)} <= set(ranks)


@given(st.floats(0.5, 50_000))
def test_ticks_are_few_and_inside(duration):
    found = ticks(duration)
    assert found[0] == 0 and found[-1] <= duration and len(found) <= 9


# curves and figures

def test_panels_hold_what_was_logged():
    stats = [{"step": 1, "epoch": 0.5, "loss": 3.0, "lr": 1e-3}, {"step": 2, "epoch": 1, "loss": math.nan, "lr": 1e-3},
             {"step": 2, "epoch": 1, "split": "val", "metrics": {"CIDEr": 0.25, "F1": None, "soda_c": 0.5, "odd": 1}}]
    found = {panel.title: panel.series for panel in panels([run("a"), run("b", stats=stats)])}
    assert list(found) == ["CIDEr on val", "SODA_c on val", "Loss, weighted sum", "Learning rate"]
    assert found["CIDEr on val"] == (Series(1, "b", (1,), (25.0,)),)
    assert found["Loss, weighted sum"] == (Series(1, "b", (1,), (3.0,)),)
    assert panels([run("a")]) == []


def test_drawing_returns_its_axes():
    axes = Figure().subplots()
    long = tuple(range(1, 101))
    panel = Panel("loss", "Loss", "step", (Series(0, "a", long, long), Series(1, "b", (1, 2), (1.0, 2.0))), False)
    assert draw_panel(axes, panel, LIGHT) is axes and len(axes.lines) == 3  # faint, mean, and the short one
    main, _ = score_rows([{"F1": 0.1}, {"F1": 0.2, "Recall": 0.0}])
    axes = Figure().subplots()
    assert draw_metrics(axes, main, ["a", "b"], LIGHT) is axes
    main, _ = score_rows([{"F1": 0.1}, {"F1": 0.2, "Recall": 0.0}], [{}, {"F1": [0.15, 0.5]}])
    axes = draw_metrics(Figure().subplots(), main, ["a", "b"], LIGHT)
    (line,) = axes.collections[-2].get_segments()  # of run b, under its points
    assert line[:, 0].tolist() == [15.0, 50.0] and axes.get_xlim()[1] > 50
    tracks = [make_track("x", [Event(Span(0, 5), "$not_math$")], 10), make_track("y", [], 10, 0)]
    axes = Figure().subplots()
    assert draw_timeline(axes, tracks, 10, LIGHT) is axes and len(axes.patches) == 1
    texts = {text.get_text() for text in timeline_figure("t", tracks, 10, LIGHT).axes[1].texts}
    assert {"1  $not_math$", "no events"} <= texts


# windows

def test_recalled_windows_have_the_times_that_were_recorded(world, runs):
    settings = runs[1] / "config.yaml"
    settings.write_text(re.sub(r"window_shape: \w+", "window_shape: ward", settings.read_text()))
    config = load_config(settings)
    (runs[1] / "retrieved_val.h5").unlink()
    stored = open_retrieved(retrieve(config, "val", runs[1] / "retrieved_val.h5"))
    (found,), _ = read_runs(runs[1:])
    for video in stored.ids:
        parts, _ = recalled_by(found, video, 90.0)
        rows = stored.window_rows(video)[[bool(nodes) for nodes in stored.visited(video)]]
        assert [[part.span.start, part.span.end] for part in parts] == (rows * 1.5).tolist(), "60 frames of 90 s"
    assert len(set(np.diff(rows).ravel().tolist())) > 1


def test_what_whole_videos_recall_is_not_shown_for_predictions_in_parts(runs):
    path = runs[1] / "predictions_val.json"
    content = read_json(path)
    content["decided_by"] = {"settings": {"data.longest": 30.0}}
    write_json(path, content)
    (found,), _ = read_runs(runs[1:])
    assert found.retrieved is not None, "no video was cut: there is no other file"
    (runs[1] / "retrieved_val.parts.h5").touch()
    (found,), _ = read_runs(runs[1:])
    assert found.retrieved is None and any("captioned in parts (data.longest)" in note for note in found.notes)
