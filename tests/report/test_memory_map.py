"""The memory map: what it shows, that texts stay texts, odd banks, and what it refuses."""

import json
import re
import warnings
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hicm.errors import UserError
from hicm.memory.bank import Bank, Leaves, Level, save_bank
from hicm.memory.hierarchies.kmeans import kmeans
from hicm.report import map_figures
from hicm.report.map_figures import COLOURS
from hicm.report.memory_map import draw_map, project
from hicm.report.memory_map_outline import Outline

NASTY = """</script><script>alert("x")</script> <img src=x onerror=alert(1)> & %{x} 'quoted' $a_b$ 食べる שלום"""


class Page(HTMLParser):
    """Visible text, tags, scripts, and the arguments of each drawing, as a browser would read them."""

    def __init__(self, path: Path):
        super().__init__()
        self.words, self.tags, self.scripts, self.open = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        self.text = " ".join(" ".join(self.words).split())
        self.drawings = {}
        for script in self.scripts:
            for found in re.finditer(r'Plotly\.newPlot\(\s*"(map|tree)",\s*', script):
                data, end = json.JSONDecoder().raw_decode(script, found.end())
                layout, _ = json.JSONDecoder().raw_decode(script, re.compile(r",\s*").match(script, end).end())
                self.drawings[found[1]] = data, layout

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif "style" not in self.open:
            self.words.append(data)

    @property
    def points(self) -> list[str]:
        return [text for trace in self.drawings["map"][0] for text in trace["hovertext"]]

    @property
    def tree(self) -> dict:
        (tree,), _ = self.drawings["tree"]
        return tree


def make_bank(captions: int, levels: int = 2, nodes: int = 0, texts: str = "", **info) -> Bank:
    """``levels`` levels over random captions, ``nodes`` on top (0: about a fifth each time)."""
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((captions, 6)).astype(np.float32)
    leaves = Leaves(tuple(texts or f"caption {number}" for number in range(captions)), embeddings,
                    tuple(f"video{number // 4}" for number in range(captions)), np.arange(captions) % 4)
    found, below = [], np.arange(captions)
    for number in range(1, levels + 1):
        count = nodes if nodes and number == levels else max(len(below) // 5, 1)
        groups = np.array_split(np.arange(len(below)), count)
        below = np.asarray([below[group[0]] for group in groups])
        found.append(Level(tuple(texts or f"summary {number}.{node}" for node in range(count)), embeddings[below],
                           tuple(groups), below if number == 1 else np.full(count, -1)))
    return Bank(tuple(found), leaves, {"encoder": "made up", "summariser": "medoid", "sources": ["train"], **info})


def draw(bank: Bank, folder: Path, **options) -> Page:
    save_bank(bank, folder / "bank")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert draw_map(folder / "bank", folder / "out" / "map.html", **options) == folder / "out" / "map.html"
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["map.html", "map.png"]
    assert Image.open(folder / "out" / "map.png").width > 1000
    return Page(folder / "out" / "map.html")


@pytest.fixture(scope="module")
def complete(tmp_path_factory) -> Page:
    return draw(make_bank(120), tmp_path_factory.mktemp("map"))


def test_page_needs_nothing_from_elsewhere(complete):
    assert not {"link", "img", "iframe", "form"} & {tag for tag, _ in complete.tags}
    assert not any(value.startswith(("http", "//")) for _, attributes in complete.tags for name, value
                   in attributes.items() if name in ("src", "href"))
    policy, = (attributes["content"] for tag, attributes in complete.tags
               if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "http" not in policy
    assert "sendChartToCloud" not in complete.scripts[-2] + complete.scripts[-3]


def test_header_and_levels(complete):
    assert "A memory of 120 captions of 30 videos, from train." in complete.text
    assert "Encoder made up, 6 wide. Summaries by medoid." in complete.text
    assert "2 (top) 4 6 6 30 30" in complete.text  # nodes, children median and most, captions median and most
    assert "1 (finest) 24 5 5 5 5" in complete.text
    assert "drawn at random" not in complete.text and "The tree shows" not in complete.text


def test_every_caption_stands_in_the_map_with_the_summaries_above_it(complete):
    traces, layout = complete.drawings["map"]
    assert len(complete.points) == 120
    assert traces[0]["hovertext"][7] == ("<b>caption 7</b><br>video1 #3<br>1  summary 1.1<br>2  summary 2.0")
    assert [trace["name"] for trace in traces] == [f"{node + 1}  summary 2.{node} (30)" for node in range(4)]
    assert [trace["marker"]["color"] for trace in traces] == list(COLOURS[:4])
    assert [note["text"] for note in layout["annotations"]] == [f"<b>{number}</b>" for number in range(1, 5)]


def test_tree_is_whole_and_its_sizes_add_up(complete):
    tree = complete.tree
    values, below = dict(zip(tree["ids"], tree["values"], strict=True)), dict.fromkeys(tree["ids"], 0)
    assert len(values) == 1 + 4 + 24 + 120 and values["all"] == 120
    for name, parent in zip(tree["ids"], tree["parents"], strict=True):
        if parent:
            below[parent] += values[name]
    assert all(below[name] == values[name] for name in values if not name.startswith("0."))
    texts = dict(zip(tree["ids"], tree["hovertext"], strict=True))
    assert texts["1.3"] == "<b>summary 1.3</b><br>level 1, 5 captions<br>quoted from video3 #3"
    assert texts["2.0"] == "<b>summary 2.0</b><br>level 2, 30 captions"  # written, not quoted
    assert texts["0.9"] == "<b>caption 9</b><br>video2 #1"


def test_texts_neither_run_nor_break_the_page(tmp_path):
    page = draw(make_bank(30, texts=NASTY, encoder=NASTY, sources=[NASTY]), tmp_path)
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") == 4 and "img" not in tags  # Plotly, two drawings, colours
    assert page.text.count("""</script><script>alert("x")</script> <img src=x""") == 2
    shown = [*page.points, *page.tree["hovertext"], *page.tree["labels"], *page.tree["text"],
             *(trace["name"] for trace in page.drawings["map"][0])]
    assert len(page.points) == 30 and "食べる שלום" in page.points[0]
    assert page.points[0].startswith('<b>&lt;/script&gt;&lt;script&gt;alert("x")&lt;/script&gt; &lt;img src=x<br>')
    for text in shown:
        assert set(re.findall(r"<[^>]*>?", text)) <= {"<b>", "</b>", "<br>"}
        assert "hovertemplate" not in page.tree  # where %{x} would be filled in


def test_long_texts_are_broken_in_hovers_and_cut_in_lists(tmp_path):
    page = draw(make_bank(30, texts="pour " * 40 + "x" * 150), tmp_path)
    lines = [line for text in page.points for line in re.sub(r"</?b>", "", text).split("<br>")]
    assert 50 < max(map(len, lines)) <= 63  # 60 and the level's number
    assert page.points[0].count("x") == 150 * 3
    assert all(len(trace["name"]) < 64 and "…" in trace["name"] for trace in page.drawings["map"][0])


def test_a_sample_is_drawn_by_seed_and_the_page_says_so(tmp_path):
    bank = make_bank(90)
    first = draw(bank, tmp_path, points=40)
    assert "The map shows 40 of 90 captions, drawn at random." in first.text
    assert len(set(first.points)) == 40 and len(first.tree["ids"]) == 1 + 3 + 18 + 90
    assert draw(bank, tmp_path, points=40).drawings == first.drawings
    assert set(draw(bank, tmp_path, points=40, seed=1).points) != set(first.points)


def test_many_top_nodes_share_one_grey(tmp_path, monkeypatch):
    monkeypatch.setattr(map_figures, "TOPS", 30)
    page = draw(make_bank(200, levels=1, nodes=50), tmp_path)
    traces, layout = page.drawings["map"]
    assert len(traces) == 21 and len(layout["annotations"]) == 20
    assert traces[-1]["name"] == "30 other clusters (120)" and traces[-1]["marker"]["color"] == map_figures.OTHER
    assert page.tree["ids"][-1] == "rest" and page.tree["values"][-1] == 80
    assert page.tree["labels"][-1] == "20 smaller nodes" and "The tree shows 150 of 250 nodes and captions" in page.text


def test_a_large_tree_ends_above_the_captions(tmp_path, monkeypatch):
    monkeypatch.setattr(map_figures, "NODES", 30)
    page = draw(make_bank(100), tmp_path)
    assert len(page.tree["ids"]) == 1 + 4 + 20 and "The tree shows 24 of 124 nodes and captions" in page.text


@pytest.mark.parametrize("kind", ["no leaf embeddings", "no leaves"])
def test_without_embeddings_of_captions_nodes_are_drawn(tmp_path, kind):
    bank = make_bank(100)
    leaves = Leaves(bank.leaves.texts, None, bank.leaves.videos, bank.leaves.sentences)
    if kind == "no leaves":
        leaves, first = None, bank.levels[0]
        bank = Bank((Level(first.texts, first.embeddings, (np.zeros(0, np.int64),) * 20, np.full(20, -1)),
                     *bank.levels[1:]))
    page = draw(Bank(bank.levels, leaves, bank.info), tmp_path)
    assert "The bank keeps no embeddings of captions: the map shows the nodes of level 1." in page.text
    unit = "1 finest nodes" if leaves is None else "5 captions"
    assert len(page.points) == 20 and f"<b>summary 1.3</b><br>level 1, {unit}<br>2  summary 2.0" in page.points
    assert page.tree["values"][0] == (20 if leaves is None else 100)


@pytest.mark.parametrize("captions", [1, 2, 3, 13, 14])
def test_small_banks(tmp_path, captions):
    page = draw(make_bank(captions, levels=1, nodes=1), tmp_path)
    assert len(page.points) == captions and len(page.tree["ids"]) == 2 + captions


def test_captions_that_are_all_the_same(tmp_path):
    bank = make_bank(40)
    same = np.ones((40, 6), np.float32)
    page = draw(Bank(bank.levels, Leaves(bank.leaves.texts, same, bank.leaves.videos, bank.leaves.sentences),
                     bank.info), tmp_path)
    assert len(page.points) == 40


def test_like_embeddings_lie_close_together():
    rng = np.random.default_rng(0)
    kind = np.arange(300) % 3
    embeddings = (np.eye(3, 20)[kind] + 0.1 * rng.standard_normal((300, 20))) * rng.uniform(0.1, 9, (300, 1))
    places = project(embeddings)
    assert places.shape == (300, 2) and np.isfinite(places).all()
    np.testing.assert_array_equal(places, project(embeddings))
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (kind[distances.argmin(axis=1)] == kind).mean() > 0.99
    assert np.isfinite(project(np.zeros((30, 4), np.float16))).all()


def test_outline_follows_any_tree():
    points = np.random.default_rng(0).standard_normal((200, 5)).astype(np.float32)
    labels = kmeans(points, branching=3, top=3)
    levels, below = [], np.arange(200)
    for column in labels.T:
        children = tuple(np.unique(below[column == node]) for node in range(column.max() + 1))
        levels.append(Level(("s",) * len(children), points[:len(children)], children, np.full(len(children), -1)))
        below = column
    bank = Bank(tuple(levels), Leaves(("c",) * 200, points, ("v",) * 200, np.arange(200))).validate()
    outline = Outline(bank)
    for number, (column, found) in enumerate(zip(labels.T, outline.path(0, np.arange(200))[1:], strict=True), start=1):
        np.testing.assert_array_equal(column, found)
        np.testing.assert_array_equal(bank.sizes[number], np.bincount(column))


def test_what_is_refused(tmp_path):
    with pytest.raises(UserError, match="memory bank not found; build it with"):
        draw_map(tmp_path / "nothing", tmp_path / "map.html")
    save_bank(make_bank(5, levels=1), tmp_path / "bank")
    with pytest.raises(UserError, match=r"map\.png: not the name of a page; expected a file name that ends in \.html"):
        draw_map(tmp_path / "bank", tmp_path / "map.png")
    with pytest.raises(UserError, match="points=0; expected 1 or more"):
        draw_map(tmp_path / "bank", tmp_path / "map.html", points=0)
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UserError, match=r"folder\.html: is a folder; name a file in it"):
        draw_map(tmp_path / "bank", tmp_path / "folder.html")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"map\.\w+: cannot be written"):
        draw_map(tmp_path / "bank", tmp_path / "file" / "map.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bank", "file", "folder.html"]
