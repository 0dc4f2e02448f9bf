"""Choosing settings: a planted optimum is found, without any video's own captions, the same way every time."""

import math
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from hicm.errors import UserError
from hicm.systems.recall import objective
from hicm.systems.recall.decode import Footage, caption
from hicm.systems.recall.model import Captions, fit
from hicm.systems.recall.objective import Choice, Grid, choose, draw
from hicm.systems.recall.segment import segment, unit_rows
from hicm.systems.recall.settings import Settings
from hicm.types import Event, Span
from tests.test_imports import pulled

WIDTH, KINDS = 48, 30


def world(videos=12, seed=0):
    """Videos that show kinds of events between stretches of nothing, and a memory with a caption of each from each.

    Frames are shifted by a gap; the two halves of an event look a little different, so that a low penalty cuts it in
    two.
    """
    rng = np.random.default_rng(seed)
    kinds, gap = unit_rows(rng.standard_normal((KINDS, WIDTH))), 2 * unit_rows(rng.standard_normal((1, WIDTH)))
    footage, texts, vectors, owners = [], [], [], []
    for number in range(videos):
        rows, events = [], []
        for kind in rng.choice(KINDS, 5, replace=False):
            rows.append(np.repeat(0.5 * unit_rows(rng.standard_normal((1, WIDTH))), 12, axis=0))
            start = sum(map(len, rows))
            rows.append(kinds[kind] + np.repeat(0.4 * unit_rows(rng.standard_normal((2, WIDTH))), 10, axis=0))
            events.append(Event(Span(start, start + 20), f"kind {kind}"))
            texts.append(f"kind {kind}")
            vectors.append(kinds[kind])
            owners.append(f"video_{number}")
        seen = np.concatenate(rows)
        seen = seen + gap + 0.05 * rng.standard_normal(seen.shape)
        footage.append(Footage(f"video_{number}", float(len(seen)), seen.astype(np.float32), 1.0, tuple(events)))
    known = Captions(tuple(texts), np.array(vectors, np.float32), np.array(owners))
    return footage, known, fit(video.rows for video in footage)


def agreement(footage):
    """A score: F1 of events whose sentence and span are exactly right."""
    written = {video.id: {(event.text, event.span) for event in video.events} for video in footage}

    def score(said):
        hits = sum(len({(event.text, event.span) for event in events} & written[name])
                   for name, events in said.items())
        return 2 * hits / (sum(map(len, said.values())) + sum(len(written[name]) for name in said))

    return score


def test_the_planted_optimum_is_found():
    footage, known, mean = world()
    choice = choose(footage, known, mean, agreement(footage), leave_own_out=False)
    best = max(row.score for row in choice.tried)
    assert best > 0.95 and next(row.settings for row in choice.tried if row.score == best) == choice.settings
    assert choice.settings.penalty > 1.5, "lower penalties cut events in two"
    assert choice.settings.threshold > 0.3, "nothing is quoted where nothing happens"
    again = {video.id: caption(video, known, mean, choice.settings) for video in footage}
    assert agreement(footage)(again) == best, "the settings alone give the score they were chosen for"


def test_every_video_is_scored_without_its_own_captions():
    footage, known, mean = world(6)
    signed = Captions(tuple(f"{owner}: {text}" for owner, text in zip(known.owners, known.texts, strict=True)),
                      known.vectors, known.owners)
    own = []

    def score(said):
        own.append(sum(event.text.startswith(f"{name}:") for name, events in said.items() for event in events))
        return 0.0

    choose(footage, signed, mean, score)
    assert set(own) == {0}
    choose(footage, signed, mean, score, leave_own_out=False)
    assert max(own) > 0


def test_the_table_says_what_was_tried_and_videos_are_cut_once(monkeypatch):
    footage, known, mean = world(8)
    cut = []
    monkeypatch.setattr(objective, "segment", lambda *given: cut.append(given) or segment(*given))
    grid = Grid(penalties=(2.0, 8.0), coarse=(0.0, 0.5), centrings=("none", "both"), neighbours=(1, 3, 4), fine=(0.7,))
    choice = choose(footage, known, mean, agreement(footage), Settings(shortest=4.0), grid, most=5, seed=3)
    assert len(cut) == 5 and list(choice.videos) == draw([video.id for video in footage], 5, 3)
    assert [(row.settings.penalty, row.settings.threshold == -1) for row in choice.tried[:4]] == [
        (2.0, True), (2.0, False), (8.0, True), (8.0, False)]
    assert [(row.settings.centring, row.settings.neighbours) for row in choice.tried[4:10]] == [
        (centring, neighbours) for centring in ("none", "both") for neighbours in (1, 3, 4)]
    assert len(choice.tried) == 11 and choice.tried[10].events < choice.tried[0].events
    assert {row.settings.shortest for row in choice.tried} == {4.0}
    assert len({row.settings.penalty for row in choice.tried[4:]}) == 1


def test_the_same_choice_every_time_and_of_equals_the_first():
    footage, known, mean = world(6)
    one, two = (choose(footage, known, mean, agreement(footage), seed=1) for _ in range(2))
    assert one == two and isinstance(one, Choice)
    flat = choose(footage, known, mean, lambda said: 0.5)
    assert flat.settings == flat.tried[0].settings


def test_the_score_is_given_the_drawn_videos_alone():
    footage, known, mean = world(6)
    seen = []
    choice = choose(footage, known, mean, lambda said: seen.append(tuple(said)) or 0.0, most=3)
    assert set(seen) == {choice.videos} and len(choice.videos) == 3 and len(seen) == len(choice.tried) == 48


def test_draw():
    ids = [f"video_{number}" for number in range(50)]
    drawn = draw(ids, 7, 1)
    assert len(set(drawn)) == 7 and drawn == sorted(drawn, key=ids.index) == draw(ids, 7, 1) != draw(ids, 7, 2)
    assert draw(ids, 99, 1) == ids


def test_no_video_and_a_score_that_is_no_number_are_refused():
    footage, known, mean = world(2)
    with pytest.raises(UserError, match="no training video"):
        choose([], known, mean, lambda said: 0.0)
    with pytest.raises(UserError, match="not a number"):
        choose(footage, known, mean, lambda said: math.nan)


def test_defaults_are_within_the_limits_that_stand_at_their_fields():
    for one in fields(Settings):
        if limits := one.metadata.get("limits"):
            assert limits[0] <= one.default <= limits[1]


def test_no_torch_is_loaded():
    assert pulled("hicm.systems.recall.objective") == set()


def test_the_page_lists_every_setting_with_its_default():
    page = (Path(objective.__file__).parent / "README.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(\w+)` \| `?([\w.]+)`? \|", page, re.MULTILINE))
    assert listed == {one.name: str(one.default) or "empty" for one in fields(Settings) if one.name != "writing"}
    assert "`writing.*`" in page, "a section of its own"
    for target in re.findall(r"\]\(([^)#]+)\)", page):
        assert (Path(objective.__file__).parent / target).exists()
