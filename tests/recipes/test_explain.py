"""Why the memory helps: what is measured of a run, that it continues, what it leaves out and what it refuses."""

import dataclasses
import shutil

import numpy as np
import pytest

from hicm import verbs
from hicm.data.features import sample_or_all
from hicm.encoders import make_encoder
from hicm.files import read_json, write_json, write_text
from hicm.memory.bank import OWN, load_bank, save_bank
from hicm.recipes.explain import written
from hicm.recipes.explain.levels import BEST, KEPT, NEAREST, RANDOM, RECALLED
from hicm.recipes.explain.plan import make_plan
from hicm.recipes.explain.recall import Memory, overlapping
from hicm.recipes.explain.run import explain
from hicm.recipes.explain.taken import _choice, _copying
from hicm.recipes.memory_reads.page import marks
from hicm.retrieval.store import open_retrieved
from hicm.stages.retrieve import retrieve
from hicm.systems.captioner.reading import Source, Wording
from hicm.types import Event, Span
from tests.scripts import load_script
from tests.tiny import WIDTH, make_tiny

FRAMES = 20  # data.frames of tiny runs
TINY = {"train__epochs": 1, "train__eval_every": 0, "captioner__decode__max_tokens": 16}
TEXT = {"captioner__memory_as": "text", "captioner__copy_words": True, "captioner__event_heads": 1,
        "retrieval__read": "items", "retrieval__levels": [0], "retrieval__beam": 3, "retrieval__window_shape": "ward"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A captioner that descends to captions, reads them as text, and copies; read only."""
    folder = tmp_path_factory.mktemp("tiny")
    return verbs.train(str(make_tiny(folder, videos=8, **TINY, **TEXT)), out=str(folder / "run"))


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    """A captioner of HiCM2's kind: vectors of all levels but the captions, uniform windows; read only."""
    folder = tmp_path_factory.mktemp("vectors")
    return verbs.train(str(make_tiny(folder, videos=6, **TINY, captioner__use_speech=False)), out=str(folder / "run"))


@pytest.fixture(scope="module")
def main():
    return load_script("explain_memory").main


@pytest.fixture(scope="module")
def done(run, main, tmp_path_factory):
    """What was found of the run's split val; read only."""
    out = tmp_path_factory.mktemp("out") / "val"
    assert main([str(run), "--split", "val", "--videos", "2", "--out", str(out)]) == 0
    return out


def annotated(run, split="val"):
    """The events of a split, with their videos."""
    samples = make_plan(run, split).samples
    return [(video, event) for video in samples.videos for event in video.events]


def cosine(one, other):
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


# --- what is recalled

def test_recall_is_what_the_run_recalled(run, done, tmp_path):
    """The same numbers from the file that `hicm retrieve` writes, one event at a time."""
    bank, encoder = load_bank(run / OWN), make_encoder(f"hashing:{WIDTH}")
    recalled = open_retrieved(retrieve(make_plan(run, "val").config, "val", tmp_path / "retrieved.h5"))
    first, kept = {}, {}
    for video, event in annotated(run):
        assert video.duration > FRAMES, "frames are spread over the video"
        windows = recalled.window_rows(video.id) * video.duration / FRAMES
        shared = np.minimum(windows[:, 1], event.span.end) - np.maximum(windows[:, 0], event.span.start)
        longest = max(range(len(windows)), key=lambda at: (shared[at], windows[at, 0] - windows[at, 1]))
        truth, visited = encoder.encode([event.text])[0], recalled.visited(video.id)[longest]
        for level in range(bank.depth, -1, -1):
            rows_of = bank.leaves.embeddings if level == 0 else bank.level(level).embeddings
            near = [cosine(truth, rows_of[node]) for at, node, *_ in visited if at == level]
            first.setdefault(level, []).append(near[0])
            kept.setdefault(level, []).append(max(near))
    found = {(one["level"], one["source"]): one for one in read_json(done / "results.json")["levels"]}
    for level in first:
        assert found[level, RECALLED]["mean"] == pytest.approx(np.mean(first[level]), abs=1e-5)
        assert found[level, KEPT]["mean"] == pytest.approx(np.mean(kept[level]), abs=1e-5)
        assert found[level, KEPT]["quantiles"] == pytest.approx(np.quantile(kept[level], [0.1, 0.5, 0.9]), abs=1e-5)
        assert found[level, KEPT]["mean"] <= found[level, NEAREST]["mean"] + 1e-6
        assert found[level, RANDOM]["mean"] < found[level, NEAREST]["mean"]
        assert found[level, BEST]["events"] == len(first[level]) == read_json(done / "results.json")["compared"]


def test_the_right_branch_is_kept_by_wide_beams_and_lost_by_narrow_ones(done):
    results = read_json(done / "results.json")
    kept = {(one["way"], one["count"], one["level"]): one["kept"] for one in results["branches"]}
    levels = sorted(map(int, results["nodes"]), reverse=True)
    assert [kept["descend", 128, level] for level in levels] == [1.0] * len(levels), "all captions are kept"
    assert kept["flat", 128, 0] == 1.0 and kept["descend", 1, 0] < 1.0
    for level in levels:
        beams = [kept["descend", beam, level] for beam in (1, 4, 8, 32, 128)]
        assert beams == sorted(beams)
    for beam in (1, 4, 8, 32, 128):
        path = [kept["descend", beam, level] for level in levels]
        assert path == sorted(path, reverse=True), "a branch that was lost does not come back"
    assert kept["descend", 1, levels[0]] == kept["best", 1, levels[0]]
    assert kept["flat", 1, 0] == kept["best", 1, 0] and ("flat", 2, 0) in kept, "as many as the run reads"


def test_videos_do_not_recall_their_own_captions(run, tmp_path):
    plan = make_plan(run, "train")
    assert plan.own_out and not make_plan(run, "val").own_out
    memory, bank = Memory(plan), plan.bank
    for sample in plan.samples:
        case = memory.case(sample)
        own = [at for at, video in enumerate(bank.leaves.videos) if video == sample.id]
        scores = case.truth.scores(0)
        assert own and np.isneginf(scores[:, own]).all() and np.isfinite(np.delete(scores, own, axis=1)).all()
        for asked in case.asked.values():
            assert not np.isin(asked.kept(memory.settings, [0]).nodes[0], own).any()
    found = explain(dataclasses.replace(plan, most=1), tmp_path / "out")
    assert found.own_out and found.taken.videos == 1


@pytest.mark.parametrize("settings", [{}, {"leave_own_out": False, "leave_best_out": True}])
def test_the_captioner_reads_no_own_captions_either(run, settings, tmp_path):
    """Whatever training left out: as in what is measured of the memory, own captions are, and the best are not."""
    plan = make_plan(run, "train")
    config = dataclasses.replace(plan.config, retrieval=dataclasses.replace(plan.config.retrieval, **settings))
    plan = dataclasses.replace(plan, config=config, most=2)
    explain(plan, tmp_path)
    path, = tmp_path.glob("retrieved_*.h5")
    assert path.name == "retrieved_train_own_out.h5", "what the run recalls otherwise is another file"
    recalled = open_retrieved(path)
    assert recalled.info["leave_own_out"] and not recalled.info.get("leave_best_out")
    assert len(plan.read.ids) == 2
    for video in plan.read.ids:
        read = {node for visited in recalled.visited(video) for level, node, *_ in visited if level == 0}
        own = {at for at, name in enumerate(plan.bank.leaves.videos) if name == video}
        assert read and own and not read & own
    assert plan.origin().identity != make_plan(run, "val").origin().identity
    assert "own captions" in plan.origin().settings and "own captions" not in make_plan(run, "val").origin().settings


def test_windows_are_those_that_overlap_longest():
    windows = [(0.0, 10.0), None, (10.0, 30.0), (30.0, 40.0)]
    best, fits = overlapping([Span(2, 8), Span(5, 15), Span(25, 41), Span(50, 60), Span(9, 3)], windows)
    assert best.tolist() == [0, 0, 3, -1, -1], "of those equally long, the one that fits better"
    assert fits.tolist() == pytest.approx([0.6, 1 / 3, 10 / 16, 0, 0])


def test_the_event_asks_with_its_own_frames(run):
    plan = make_plan(run, "val")
    memory, sample = Memory(plan), plan.samples[0]
    case = memory.case(sample)
    queries = case.asked["event"].queries.queries
    assert len(queries) == len(case.events)
    frames, _ = sample_or_all(plan.samples.features.read(sample.id), FRAMES)
    middles = (np.arange(FRAMES) + 0.5) * sample.duration / FRAMES
    for query, event in zip(queries, case.events, strict=True):
        own = frames[(middles >= event.span.start) & (middles < event.span.end)]
        np.testing.assert_allclose(query, own.mean(axis=0), rtol=1e-5, atol=1e-6)


def test_bins_hold_all_events(done):
    fits = read_json(done / "results.json")["fits"]
    for shape in ("ward", "uniform"):
        everything, *bins = [one for one in fits if one["shape"] == shape]
        assert sum(one["events"] for one in bins) == everything["events"]
        mean = sum(one["first"] * one["events"] for one in bins) / everything["events"]
        assert mean == pytest.approx(everything["first"], abs=1e-6)
    assert [one["shape"] for one in fits][-1] == "event"


# --- what is taken

def wording(gives, copied=(0.9, 0.1), span=(0.0, 10.0), text="words"):
    return Wording(*span, text, (0.5, 0.5), copied, tuple(
        Source(name, rank, share) for rank, (name, share) in enumerate(gives, start=1)))


def test_copies_are_counted_by_rank():
    found = _copying([wording([("a", 0.2), ("b", 0.6)]), wording([("c", 1.0)], copied=(1.0, 1.0)), wording([])])
    assert (found.captions, found.pieces, found.gate, found.most) == (3, 6, 0.5, pytest.approx(4 / 6))
    assert found.ranks == pytest.approx((1.2 / 1.8, 0.6 / 1.8, 0, 0, 0))
    assert found.even == pytest.approx((1.4 / 1.8, 0.4 / 1.8, 0, 0, 0))
    assert found.one == pytest.approx(1.6 / 1.8) and found.other == pytest.approx(1 - 1.8 / 4)
    assert found.sentences == 1 and sum(found.histogram) == pytest.approx(1)


def test_the_choice_is_compared_with_the_annotated_caption_that_fits():
    vector = {"truth": [1, 0], "a": [0, 2], "b": [3, 0], "c": [1, 1]}
    annotated = {"v": [Event(Span(0, 9), "truth"), Event(Span(50, 60), "a")]}
    captions = [("v", wording([("a", 0.1), ("b", 0.5), ("c", 0.2)])), ("v", wording([("b", 1.0)], span=(20, 30)))]
    found = _choice(captions, annotated, lambda text: np.asarray(vector[text], np.float32))
    assert found.captions == 1 and found.interval is None, "the second fits no event; one video gives no interval"
    assert (found.copied, found.first, found.nearest) == pytest.approx((1, 0, 1))
    assert found.even == pytest.approx((1 + 0.5 ** 0.5) / 3)
    many = {str(number): annotated["v"] for number in range(8)}
    found = _choice([(name, captions[0][1]) for name in many], many, lambda text: np.asarray(vector[text], np.float32))
    assert found.interval == pytest.approx((1, 1))


def test_what_the_captioner_takes_adds_up(done):
    taken = read_json(done / "results.json")["taken"]
    assert taken["videos"] == 2 and taken["copies"]
    for one in taken["attention"]:
        assert sum(one["shares"].values()) == pytest.approx(1, abs=1e-4)
    assert [(one["layer"], one["position"]) for one in taken["attention"]] == [
        (0, "words"), (0, "times"), (1, "words"), (1, "times")]


# --- tables, pictures, pages

def test_it_writes_tables_and_pictures(run, done):
    text = (done / "table.md").read_text()
    assert "| the run: descend, beam 3, 2 best read | " in text and "4 windows (ward)" in text
    assert "| level 1 | " in text and "| event | n/a | " in text and "| recalled text |" in text
    for name in ("recall.png", "taken.png"):
        assert (done / name).read_bytes().startswith(b"\x89PNG")
    assert str(done) not in text and f"Run `{run.parent.name}/run` on split `val`" in text


def test_it_is_measured_once_and_fills_a_page(run, main, done, tmp_path, monkeypatch):
    for name in ("draw_recall", "draw_taken"):
        monkeypatch.setattr(written, name, lambda found, path: write_text(path, "a picture"))
    copy = shutil.copytree(done, tmp_path / "copy")
    before = (copy / "results.json").stat().st_mtime_ns
    page, (first, last) = tmp_path / "page.md", marks("why_tiny_val")
    page.write_text(f"head\n{first}\n{last}\nfoot\n")
    assert main([str(run), "--split", "val", "--videos", "2", "--out", str(copy), "--docs", str(page)]) == 0
    assert (copy / "results.json").stat().st_mtime_ns == before
    assert (copy / "table.md").read_text().strip() in page.read_text() and page.read_text().endswith(f"{last}\nfoot\n")
    assert (tmp_path / "images" / "why_tiny_val_taken.png").read_text() == "a picture"


def test_parts_that_do_not_apply_are_left_out(vectors, main, tmp_path, capsys):
    lacking = shutil.copytree(vectors, tmp_path / "run")
    bank = load_bank(vectors / OWN)
    save_bank(dataclasses.replace(bank, leaves=dataclasses.replace(bank.leaves, embeddings=None)), lacking / OWN)
    assert main([str(lacking), "--split", "val", "--videos", "1", "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "table.md").read_text()
    assert "*Where the right branch is lost* is left out:" in text and "*Copied words* are left out:" in text
    assert "| recalled vectors |" in text and "| uniform | all |" in text and "recalled for the event |" in text
    assert "| level 1 |" in text and "| captions |" not in text
    assert main([str(lacking), "--split", "train", "--out", str(tmp_path / "train")]) == 2
    assert "holds captions of split train without their embeddings" in capsys.readouterr().err


def test_the_folder_is_called_by_the_run(run, main, done, tmp_path, monkeypatch):
    out = tmp_path / "presave" / "explain_memory" / f"{run.parent.name}_run_val"
    shutil.copytree(done, out)
    (out / "table.md").unlink()
    monkeypatch.chdir(tmp_path)
    assert main([str(run), "--split", "val", "--videos", "2"]) == 0
    assert (out / "table.md").read_text() == (done / "table.md").read_text()


def test_the_command_that_is_shown_has_all_options_that_decide_numbers():
    script = load_script("explain_memory")
    parser = script.parser()
    unseen = {"help", "run", "out", "docs"}
    for action in parser._actions:
        if action.dest not in unseen:
            words = [action.option_strings[0], "7"]
            assert script.shown(parser.parse_args(["RUN", *words])).endswith(" ".join(words)), action.dest
    assert script.shown(parser.parse_args(["RUN"])) == "python scripts/explain_memory.py RUN"


# --- refusals

@pytest.mark.parametrize(("changes", "said"), [
    (["--videos", "-1"], "--videos: expected 0 (all) or more, found -1"),
    (["--videos", "3"], "was measured of something else (another run, split, number of videos, setting or input); "
     "choose another --out, or remove the folder"),
    (["--videos", "2", "--set", "captioner.decode.max_tokens=5"], "was measured of something else"),
    (["--set", "retrieval.search=none"], "looks into no memory (retrieval.search=none)"),
    (["--set", "retrieval.search=zero"], "looks into no memory (retrieval.search=zero)"),
    (["--encoder", "hashing:16"], f"the encoder of its embeddings is hashing:{WIDTH}"),
    (["--split", "nowhere"], "data.annotations: no files for split 'nowhere'"),
    (["--docs", "{page}"], "expected the lines '<!-- generated: why_tiny_val -->'"),
])
def test_what_does_not_fit_is_refused_in_one_line(run, main, done, changes, said, tmp_path, capsys):
    page = write_text(tmp_path / "page.md", "no marks\n")
    words = [word.format(page=page) for word in changes]
    assert main([str(run), "--split", "val", "--out", str(done), *words]) == 2
    error = capsys.readouterr().err
    assert said in error and error.startswith("explain_memory: ") and error.count("\n") == 1


def test_a_system_that_does_not_tell_what_it_reads_is_refused(main, tmp_path, capsys):
    config = make_tiny(tmp_path, videos=6, system="recall")
    run = verbs.train(str(config), out=str(tmp_path / "run"))
    capsys.readouterr()
    assert main([str(run)]) == 2
    assert "the system recall does not tell what it reads; give a run of captioner" in capsys.readouterr().err


def test_a_split_without_captions_is_refused(run, main, tmp_path, capsys):
    blank = write_json(tmp_path / "blank.json", {
        name: {**entry, "sentences": ["" for _ in entry["sentences"]]}
        for name, entry in read_json(make_plan(run, "val").config.data.annotations["val"][0]).items()})
    assert main([str(run), "--split", "val", "--set", f"data.annotations.val=[{blank}]"]) == 2
    assert "split val: has no annotated captions to compare with" in capsys.readouterr().err
