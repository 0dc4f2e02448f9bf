"""The page as a whole: content, escaping, self-containedness, and notes about missing pieces."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.report import report
from tests.viewer.pages import views_in

VOID = {"meta", "img", "source", "br", "link", "input"}
NASTY = """</li><script>alert("x")</script> & 'quoted' "twice" $a_b$ 食べる"""


class Page(HTMLParser):
    """Checks nesting; gathers tags with their attributes, and all visible text."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    def values(self, *names):
        return [attributes[name] for _, attributes in self.tags for name in names if name in attributes]

    def count(self, tag, css=""):
        return sum(found == tag and css in [*(attributes.get("class") or "").split(), ""]
                   for found, attributes in self.tags)


@pytest.fixture(scope="module")
def complete(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    assert report([world / "none", world / "descend"], out, videos=4) == out / "index.html"
    return out, Page(out / "index.html")


def test_page_needs_nothing_from_elsewhere(complete):
    _, page = complete
    for link in page.values("src", "srcset", "href"):
        assert link.startswith(("data:image/png;base64,", "#")), link[:60]
    assert not re.search(r"url\(|@import|<link", page.source) and page.count("script") == 4 + 1  # viewers; their code
    policy, = (attributes["content"] for tag, attributes in page.tags if "Policy" in attributes.get("http-equiv", ""))
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "http" not in policy
    for name in ("script", "style"):
        element = page.source.rpartition(f"<{name}>")[2].partition(f"</{name}>")[0]
        assert base64.b64encode(hashlib.sha256(element.encode()).digest()).decode() in policy
    assert not any(name == "style" or name.startswith("on") for _, attributes in page.tags for name in attributes)
    anchors = set(page.values("id"))
    assert {link[1:] for link in page.values("href")} <= anchors


def test_what_screen_readers_and_keys_need(complete):
    """As axe asks: everything in a landmark, no headings of nothing, and whatever scrolls is reached with the keys."""
    _, page = complete
    assert page.count("main") == 1 and page.source.index("<main>") < page.source.index("<h1>")
    assert "<th></th>" not in page.source and page.source.count("<thead><tr><td></td>") == page.count("table")
    scrolled = [attributes for _, attributes in page.tags if attributes.get("class") == "wide"]
    assert all(one["tabindex"] == "0" and one["role"] == "region" for one in scrolled)
    names = [one["aria-label"] for one in scrolled]
    assert names == ["Table of runs", "Table of scores", "Table of event times"]


def test_the_head_names_what_is_compared(complete):
    _, page = complete
    assert "demo-00000000" in page.text and "demo-11111111" in page.text
    assert "Trained on “train”; checkpoint chosen by SODA_d on “val”; shown here: “val”." in page.text
    assert "The split shown also chose the checkpoint" in page.text
    assert "retrieval.search none descend" in page.text  # the only setting that differs
    assert "best, step 20, SODA_d 25.00 on val" in page.text
    assert "30 steps, 3 epochs" in page.text
    assert "7 of 7 videos" in page.text


def test_scores_are_those_of_the_metrics_files(complete, world):
    _, page = complete
    first, second = (read_json(world / run / "metrics_val.json") for run in ("none", "descend"))
    for name, label in (("F1", "F1"), ("soda_d", "SODA_d"), ("Recall@0.5", "Recall@0.5")):
        values = [100 * content["scores"][name] for content in (first, second)]
        assert f"{label} {values[0]:.2f} {values[1]:.2f} {values[1] - values[0]:+.2f}" in page.text
    assert "Left out (none, descend): METEOR, SODA_c. METEOR needs Java: none here" in page.text
    assert first["signature"] in page.text


def test_every_shown_video_has_its_events_and_windows(complete, world):
    _, page = complete
    references = read_json(world / "data" / "val.json")
    views = views_in(page.source)
    assert len(views) == page.count("article") == 4 and all(view["id"] in page.text for view in views)
    for view in views:
        sentences = references[view["id"]]["sentences"]
        assert [lane["name"] for lane in view["lanes"]] == ["reference", "none", "descend"]
        reference, *systems = ([event["text"] for event in lane["events"]] for lane in view["lanes"])
        assert reference == sentences
        assert all(sorted(found) == sorted(f"{one.capitalize()}." for one in sentences) for found in systems)
        none, descend = (lane["recalled"] for lane in view["lanes"][1:])
        assert not none and len(descend) >= 5  # 6 windows per video; the last may hold only padding
    assert "Recalled by none" not in page.text
    for role in ("best, rank 1 of 7", "median, rank 4 of 7", "worst, rank 7 of 7"):
        assert role in page.text


def test_pictures_open_and_are_not_blank(complete):
    out, page = complete
    pictures = sorted(path.name for path in out.glob("*.png"))
    assert len(pictures) == 6 and {"curves.png", "metrics.png"} < set(pictures)
    for name in pictures:
        with Image.open(out / name) as image:
            assert "demo-11111111" in image.info["Description"]
            assert min(image.size) > 150 and np.asarray(image.convert("L")).std() > 5
    assert page.count("figure") == 1 + 2 + 5  # metrics; evaluated SODA_d and F1; five quantities of training


def test_made_twice_it_is_the_same_but_for_the_date(complete, world, tmp_path):
    out, page = complete
    again = Page(report([world / "none", world / "descend"], tmp_path, videos=4))
    assert re.sub(r"Made [-\d: ]+UTC", "", again.source) == re.sub(r"Made [-\d: ]+UTC", "", page.source)
    assert (tmp_path / "curves.png").read_bytes() == (out / "curves.png").read_bytes()


def test_captions_and_ids_are_text_not_markup(runs, tmp_path):
    path = runs[1] / "predictions_val.json"
    content = read_json(path)
    video = next(iter(content["results"]))
    content["results"][video][0]["sentence"] = NASTY
    nasty_id = "../<b>&\"it's"
    content["results"][nasty_id] = [{"sentence": "x", "timestamp": [0, 1]}]
    write_json(path, content)
    (runs[1] / "metrics_val.json").unlink()
    (runs[0] / "metrics_val.json").unlink()
    config = (runs[1] / "config.yaml").read_text().replace("name: demo", 'name: "<i>demo"')
    (runs[1] / "config.yaml").write_text(config)
    write_json(runs[1] / "manifest.json", read_json(runs[1] / "manifest.json") | {"run": "<u>run"})
    page = Page(report(runs[1:], tmp_path / "out", videos=99))
    views = views_in(page.source)
    assert page.count("script") == len(views) + 1 and views[0]["lanes"][1]["events"][0]["text"] == NASTY
    assert "<i>demo" in page.text and "<u>run" in page.text and page.count("i", "") == page.count("i", "dot")
    report_without_references(runs[1], tmp_path)
    page = Page(report(runs[1:], tmp_path / "out2", videos=99))
    assert nasty_id in page.text and page.count("b") == 0 and nasty_id in {view["id"] for view in views_in(page.source)}
    names = {path.name for path in (tmp_path / "out2").glob("timeline_*")}
    assert len(names) == 8 and all(re.fullmatch(r"[\w.-]+", name) for name in names)


def report_without_references(run, tmp_path):
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(re.sub(r"/\S*/val\.json", str(tmp_path / "gone.json"), config))


@pytest.mark.parametrize(("missing", "said"), [
    ("metrics_val.json", "make them with `hicm evaluate`"),
    ("predictions_val.json", "make them with `hicm predict`"),
    ("retrieved_val.h5", "make it with `hicm retrieve`"),
    ("stats.jsonl", "train the run to see curves"),
])
def test_a_missing_piece_is_said_in_a_line(runs, tmp_path, missing, said):
    (runs[1] / missing).unlink()
    page = Page(report(runs, tmp_path / "out", videos=2))
    assert f"descend: {runs[1] / missing}" in page.text and said in page.text
    page = Page(report(runs[1:], tmp_path / "alone", videos=2))
    assert said in page.text and page.count("article") == 2


def test_a_run_that_only_started_gives_a_page(runs, tmp_path):
    for name in ("metrics_val.json", "predictions_val.json", "retrieved_val.h5", "stats.jsonl"):
        (runs[1] / name).unlink()
    report_without_references(runs[1], tmp_path)
    page = Page(report(runs[1:], tmp_path / "out"))
    for line in ("No scores for split “val” yet", "No training log", "No videos are shown", "gone.json"):
        assert line in page.text
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["index.html"]


@pytest.mark.parametrize(("file", "content", "said"), [
    ("metrics_val.json", "{", "is not valid json"),
    ("metrics_val.json", "[1]", "expected the scores"),
    ("predictions_val.json", '{"results": {"a": [{"sentence": "x"}]}}', "predict again"),
    ("retrieved_val.h5", "not hdf5", "damaged or not a file of recalled vectors"),
    ("stats.jsonl", "nonsense\n{}\n", "No training log has numbers"),
])
def test_a_damaged_file_is_reported_in_one_line(runs, tmp_path, file, content, said):
    (runs[1] / file).write_text(content)
    assert said in Page(report(runs[1:], tmp_path / "out", videos=1)).text


def test_texts_of_another_memory_are_never_shown(world, runs, tmp_path):
    bank = tmp_path / "bank"
    config = (runs[1] / "config.yaml").read_text().replace(str(world / "bank"), str(bank))
    (runs[1] / "config.yaml").write_text(config)
    assert "memory bank not found" in Page(report(runs[1:], tmp_path / "a", videos=1)).text
    bank.mkdir()
    for file in (world / "bank").iterdir():
        (bank / file.name).write_bytes(file.read_bytes())
    content = json.loads((bank / "bank.json").read_text())
    write_json(bank / "bank.json", content | {"info": {"encoder": "another"}})
    page = Page(report(runs[1:], tmp_path / "b", videos=1))
    assert "is not the memory bank" in page.text
    assert not any(lane["recalled"] for view in views_in(page.source) for lane in view["lanes"])
    assert "Recalled by descend: the memory bank could not be read" in page.text


def test_scores_of_other_rules_or_another_run_are_pointed_out(runs, tmp_path):
    path = runs[1] / "metrics_val.json"
    write_json(path, read_json(path) | {"signature": "proto:other", "run": "someone-else"})
    page = Page(report(runs, tmp_path / "out", videos=0))
    assert "do not compare their numbers" in page.text
    assert "was made from predictions of run someone-else" in page.text


def test_last_checkpoint_is_not_called_chosen(runs, tmp_path):
    path = runs[1] / "predictions_val.json"
    write_json(path, read_json(path) | {"checkpoint": {"name": "last", "step": 30}})
    page = Page(report(runs[1:], tmp_path / "out", videos=0))
    assert "Trained on “train”; last checkpoint; shown here: “val”." in page.text and "last, step 30" in page.text
    assert "also chose the checkpoint" not in page.text
    assert "also chose the checkpoint" in Page(report(runs, tmp_path / "both", videos=0)).text  # the other run's


def all_nodes(nodes):
    return [found for node in nodes for found in (node, *all_nodes(node["below"]))]


def test_training_split_shows_what_stood_in_for_own_captions(runs, tmp_path):
    page = Page(report(runs[1:], tmp_path / "out", videos=5, split="train"))
    assert any(node["replaced"] for view in views_in(page.source) for lane in view["lanes"]
               for part in lane["recalled"] for node in all_nodes(part["nodes"]))
    assert "The split shown also chose" not in page.text


def test_several_annotators_each_have_a_track(world, runs, tmp_path):
    other = tmp_path / "other.json"
    write_json(other, read_json(world / "data" / "val.json"))
    config = (runs[1] / "config.yaml").read_text()
    line = f"    - {world / 'data' / 'val.json'}\n"
    assert line in config
    (runs[1] / "config.yaml").write_text(config.replace(line, line + f"    - {other}\n"))
    page = Page(report(runs[1:], tmp_path / "out", videos=1))
    view, = views_in(page.source)
    assert [lane["name"] for lane in view["lanes"]] == ["reference 1", "reference 2", "descend"]


def test_folders_that_are_not_runs_are_refused(world, runs, tmp_path):
    with pytest.raises(UserError, match=r"config\.yaml: run folder's file not found; .* is not a run folder"):
        report([tmp_path / "nothing"], tmp_path / "out")
    with pytest.raises(UserError, match="given twice"):
        report([runs[0], runs[0]], tmp_path / "out")
    with pytest.raises(UserError, match="no run folder given"):
        report([], tmp_path / "out")
    with pytest.raises(UserError, match="expected 0 or more"):
        report(runs, tmp_path / "out", videos=-1)
    with pytest.raises(UserError, match=r"data\.annotations: no files for split 'nope'; known splits: "):
        report(runs, tmp_path / "out", split="nope")
    assert not (tmp_path / "out").exists()
    write_json(runs[0] / "manifest.json", ["x"])
    with pytest.raises(UserError, match="names no run"):
        report(runs, tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        report([world / "none"], tmp_path / "file" / "out", videos=0)
