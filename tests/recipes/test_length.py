"""The benchmark of long videos: how they are joined, what is measured, how it goes on, what it refuses."""

import dataclasses

import numpy as np
import pytest

from hicm import verbs
from hicm.config import load_config
from hicm.data.samples import open_samples
from hicm.errors import UserError
from hicm.files import read_json, write_text
from hicm.recipes.length import written
from hicm.recipes.length.joined import Source, grouped, join, joined_rows
from hicm.recipes.memory_reads.page import marks
from hicm.retrieval.store import open_retrieved
from tests.scripts import load_script
from tests.tiny import make_tiny


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A captioner that reads recalled captions of windows that end where the picture changes; read only."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny = make_tiny(folder, videos=6, train__epochs=1, train__eval_every=0, captioner__decode__max_tokens=12,
                     captioner__memory_as="text", retrieval__read="items", retrieval__search="flat",
                     retrieval__flat_level=0, retrieval__window_shape="ward", memory__source=["val"])
    return verbs.train(str(tiny), out=str(folder / "run"))


@pytest.fixture(scope="module")
def bench():
    return load_script("bench_length").main


@pytest.fixture(scope="module")
def done(run, bench, tmp_path_factory):
    """A finished benchmark; read only."""
    out = tmp_path_factory.mktemp("out") / "bench"
    assert bench([str(run), "--factors", "1", "2", "--split", "train", "--videos", "5", "--longest", "60",
                  "--out", str(out)]) == 0
    return out


def test_long_videos_have_what_their_parts_have(run, tmp_path):
    config = load_config(run / "config.yaml")
    samples = open_samples(config.data, "train", captions=False)
    source = Source(config, "train", samples)
    joined = join(source, 4, tmp_path / "data")
    assert sorted(video for members in joined.members.values() for video in members) == sorted(samples.ids)
    assert [len(members) for members in joined.members.values()] == [4, 2], "the last one is made of fewer"
    data = dataclasses.replace(config.data, annotations={"long": joined.references}, speech=str(
        tmp_path / "data/speech.json"), features=str(tmp_path / "data/features.h5"))
    long, single = open_samples(data, "long")[0], {sample.id: sample for sample in samples}
    members = joined.members[long.id]
    assert long.duration == sum(single[video].duration for video in members) == sum(map(source.durations.get, members))
    for video, start in members.items():
        own = single[video]
        rows = long.rows[round(start):round(start + own.duration)]
        assert np.array_equal(rows, own.rows[:len(rows)])
        times = [(event.span.start - start, event.text) for event in long.events]
        assert {(event.span.start, event.text) for event in own.events} <= {(round(at, 9), text) for at, text in times}
        assert {round(second + start, 9) for second in own.speech.start} <= {round(at, 9) for at in long.speech.start}
    assert len(long.events) == sum(len(single[video].events) for video in members)


def test_the_same_videos_are_joined_whatever_their_order(run, tmp_path):
    config = load_config(run / "config.yaml")
    samples = open_samples(config.data, "train", captions=False)
    turned = Source(config, "train", samples.take(range(len(samples))[::-1]))
    first = join(Source(config, "train", samples), 2, tmp_path / "data")
    assert join(turned, 2, tmp_path / "data") == first
    with pytest.raises(UserError, match="holds other data than would be made now; choose another --out"):
        join(Source(config, "train", samples, most=4), 2, tmp_path / "data")
    assert grouped(["a", "b", "c"], 1) == {"a": ["a"], "b": ["b"], "c": ["c"]}


def test_rows_are_spread_over_the_duration_of_their_video():
    parts = [np.array([[0], [1]]), np.array([[5], [6], [7], [8], [9]])]
    assert joined_rows(parts, [4.0, 3.0], 1.0)[:, 0].tolist() == [0, 0, 1, 1, 5, 7, 9]


def test_every_way_is_measured_on_the_same_events(done):
    results = read_json(done / "results.json")
    found = {(one["factor"], one["way"]): one for one in results["entries"]}
    assert list(found) == [(1, "whole"), (1, "parts_60"), (2, "whole"), (2, "parts_60"), (2, "alone")]
    assert {key: one["videos"] for key, one in found.items() if key[1] == "whole"} == {(1, "whole"): 5, (2, "whole"): 3}
    events = [one["annotated"] * one["videos"] for one in found.values()]
    assert events == pytest.approx([events[0]] * 5) and results["split"] == "train" and results["most_videos"] == 5
    for one in found.values():
        assert one["scores"].keys() == {"CIDEr", "METEOR", "soda_c", "F1_of_means", "Recall", "Precision"}
        assert one["machine"] and one["date"] and (done / one["predictions"]).exists()
    assert found[2, "alone"]["predicted"] * 3 == pytest.approx(found[1, "whole"]["predicted"] * 5)
    assert (done / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert "| 2 | 3 | " in (done / "table.md").read_text() and "in parts of 60 s" in (done / "table.md").read_text()


def test_each_part_has_windows_of_its_own(done):
    whole = open_retrieved(done / "x2" / "retrieved_predictions_whole.h5")
    parts = open_retrieved(done / "x2" / "retrieved_predictions_parts_60.parts.h5")
    assert whole.windows == parts.windows == 4 and len(parts.ids) >= 2 * len(whole.ids) == 6
    assert all((parts.window_rows(part)[:, 0] >= 0).all() for part in parts.ids)


def test_it_continues_and_fills_a_page(run, bench, done, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(written, "draw", lambda entries, path, about: write_text(path, "a picture"))
    before = {path: path.stat().st_mtime_ns for path in done.rglob("x*/**/*") if path.is_file()}
    lost = done / "x2" / "measured_whole.json"
    entry = read_json(lost)
    lost.unlink()
    page, (first, last) = tmp_path / "page.md", marks("length_tiny_train")
    page.write_text(f"head\n{first}\n{last}\nfoot\n")
    command = [str(run), "--factors", "2", "1", "2", "--split", "train", "--videos", "5", "--longest", "60"]
    assert bench([*command, "--out", str(done), "--docs", str(page)]) == 0
    assert capsys.readouterr().out.count("measured before") == 4
    assert read_json(lost)["scores"] == entry["scores"] and read_json(lost)["made_of"] == entry["made_of"]
    assert {path for path, stamp in before.items() if path.stat().st_mtime_ns != stamp} == {lost}
    text = page.read_text()
    assert (done / "table.md").read_text().strip() in text and text.endswith(f"{last}\nfoot\n")
    assert (tmp_path / "images" / "length_tiny_train.png").read_text() == "a picture" and str(tmp_path) not in text


@pytest.mark.parametrize(("words", "said"), [
    (["--videos", "4"], "was made with other values of most_videos; choose another --out"),
    (["--videos", "5", "--set", "captioner.decode.beams=2"], "was made with other values of settings;"),
    (["--factors", "0"], "--factors: expected whole numbers from 1, found 0"),
    (["--videos", "-1"], "--videos: expected 0 (all) or more, found -1"),
    (["--longest", "-5"], "--longest: expected seconds above 0, found -5"),
    (["--videos", "5", "--longest", "5"], "data.longest: expected 0 (videos are not cut) or at least 10 seconds"),
])
def test_what_does_not_fit_is_refused_in_one_line(run, bench, done, words, said, capsys):
    assert bench([str(run), "--split", "train", "--out", str(done), *words]) == 2
    assert said in (error := capsys.readouterr().err) and error.startswith("bench_length: ")
