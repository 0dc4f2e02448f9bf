"""Sentences whose moments are sought, as the data sets of the field write them."""

import csv
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hicm.data.queries import charades_queries, clean_moment, highlight_queries, listed_queries
from hicm.errors import UserError
from hicm.types import Span

SECONDS = st.floats(0, 100)


@given(SECONDS, SECONDS, st.floats(0.1, 100))
def test_clean_moments(start, end, duration):
    found = clean_moment(start, end, duration)
    assert (found is None) == (start > duration)
    if found is not None:
        assert 0 <= found.start <= found.end <= duration or end > duration >= found.start


def test_rules_of_charades_sta():
    durations = {"A": 10.0, "B": 5.0}
    lines = ["A 1.0 2.5##a person sits.", "A 11.0 12.0##left out.", "B 4.0 1.0##turned # round.\n", "B 4.0 7.0##cut."]
    found = charades_queries(lines, durations, "x.txt")
    assert [(query.id, query.video, query.text, query.windows) for query in found] == [
        (0, "A", "a person sits.", (Span(1, 2.5),)), (2, "B", "turned # round.", (Span(1, 4),)),
        (3, "B", "cut.", (Span(4, 5),))]


@pytest.mark.parametrize(("line", "what"), [
    ("A 1.0##x", "expected VIDEO START END##sentence"), ("A 1 x##x", "expected VIDEO START END"),
    ("C 1 2##x", "video C has no duration"), ("A 1 2#x", "expected VIDEO START END"), ("A 1 2", "no ## before")])
def test_other_lines_are_refused(line, what):
    with pytest.raises(UserError, match=f"x.txt: line 2: .*{what}"):
        charades_queries(["A 1 2##fine", line], {"A": 10.0}, "x.txt")


def test_listed_queries_in_seconds_and_frames():
    seconds = {"v": {"timestamps": [[20, 21], [1, 2]], "sentences": ["late", "b"], "duration": 10}}
    frames = {"v.avi": {"timestamps": [[30, 10], [10, 400]], "sentences": ["a", "b"], "num_frames": 300, "fps": 10.0}}
    assert [(one.id, one.windows, one.duration) for one in listed_queries(seconds, "x")] == [(2, (Span(1, 2),), 10.0)]
    assert [(one.id, one.windows, one.duration) for one in listed_queries(frames, "x")] == [(1, (Span(1, 30),), 30.0)]
    with pytest.raises(UserError, match="x: video v: expected timestamps, sentences and a duration, found"):
        listed_queries({"v": {"timestamps": [], "sentences": []}}, "x")


def test_highlights():
    row = {"qid": 3, "vid": "a_0.0_150.0", "query": "x", "duration": 150, "relevant_windows": [[0, 4], [10, 12]],
           "relevant_clip_ids": [0, 1, 5], "saliency_scores": [[1, 2, 3], [0, 0, 0], [4, 4, 4]]}
    [one, bare] = highlight_queries([row, {name: row[name] for name in ("qid", "vid", "query", "duration")}])
    assert one.windows == (Span(0, 4), Span(10, 12)) and one.ratings == ((0, 6), (1, 0), (5, 12))
    assert bare.windows == bare.ratings == ()


def read(path) -> str:
    return gzip.open(path, "rt", encoding="utf-8").read()


@pytest.mark.parametrize(("split", "videos", "queries", "skipped", "cut"),
                         [("train", 5336, 12405, 3, 1802), ("test", 1334, 3720, 0, 562)])
def test_counts_of_charades_sta(shared, split, videos, queries, skipped, cut):
    """12,408 lines of the training split, of which 3 are left out and 1,802 end after their video."""
    folder = shared / "data" / "charades"
    rows = csv.DictReader(read(folder / f"Charades_v1_{split}.csv.gz").splitlines())
    durations = {row["id"]: float(row["length"]) for row in rows}
    lines = read(folder / f"charades_sta_{split}.txt.gz").splitlines()
    found = charades_queries(lines, durations, split)
    assert (len({query.video for query in found}), len(found), len(lines) - len(found)) == (videos, queries, skipped)
    ends = {number: float(line.partition("##")[0].split()[2]) for number, line in enumerate(lines)}
    assert sum(query.windows[0].end < ends[query.id] for query in found
               if query.windows[0].end == query.duration) == cut


@pytest.mark.parametrize(("split", "videos", "queries"), [("train", 75, 9790), ("val", 27, 4436), ("test", 25, 4001)])
def test_counts_of_tacos(shared, split, videos, queries):
    found = listed_queries(json.loads(read(shared / "data" / "tacos" / f"{split}.json.gz")), split)
    assert (len({query.video for query in found}), len(found)) == (videos, queries)
    assert all(0 <= query.windows[0].start <= query.windows[0].end <= query.duration for query in found)


def test_counts_of_qvhighlights(shared):
    lines = read(shared / "data" / "qvhighlights" / "highlight_val_release.jsonl.gz").splitlines()
    found = highlight_queries(map(json.loads, lines))
    assert len(found) == 1550 and len({query.video for query in found}) == 1519
    assert all(query.windows and query.ratings for query in found)
