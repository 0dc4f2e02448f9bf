"""Parts found by name: ours by their module, those of other packages by their entry point."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from hicm import plugins
from hicm.config import SummaryConfig, load_config
from hicm.encoders import make_encoder
from hicm.errors import UserError
from hicm.memory.hierarchies import describe_hierarchy, partitions
from hicm.memory.summarisers import make_summariser

OUTSIDE = '''
import numpy as np
from hicm.memory.hierarchies import Clustering
from hicm.memory.summarisers.medoid import Medoid

FORM = "constant:<value>"

class Constant:
    width = 2

    def __init__(self, rest):
        self.name, self.value = f"constant:{rest}", float(rest)

    def encode(self, texts):
        return np.full((len(texts), 2), self.value, np.float32)

def text_encoder(rest, offline):
    return Constant(rest)

def summariser(rest, settings, folder, offline):
    return Medoid()

def describe(settings):
    return {"method": "one"}

def partition(embeddings, settings):
    return Clustering(np.zeros((len(embeddings), 1), np.int64), None)
'''


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A package of somebody else that announces one part of each kind, and one that cannot be imported."""
    (tmp_path / "outside_parts.py").write_text(OUTSIDE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "outside_parts", raising=False)
    points = [EntryPoint("constant", "outside_parts", group)
              for group in ("hicm.encoders", "hicm.summarisers", "hicm.hierarchies")]
    points.append(EntryPoint("broken", "no_such_package_of_parts", "hicm.encoders"))

    def entry_points(group: str, name: str | None = None) -> list[EntryPoint]:
        return [point for point in points if point.group == group and name in (None, point.name)]

    monkeypatch.setattr(plugins, "entry_points", entry_points)


def test_parts_of_other_packages_are_found(outside, tmp_path):
    encoder = make_encoder("constant:3")
    assert encoder.name == "constant:3" and encoder.encode(["a"]).tolist() == [[3, 3]]
    assert make_summariser("constant:x", SummaryConfig(), tmp_path).name == "medoid"
    settings = load_config(None, ["memory.hierarchy=constant"]).memory
    assert describe_hierarchy(settings) == {"method": "one"}
    assert partitions(np.ones((3, 2), np.float32), settings).labels.tolist() == [[0], [0], [0]]


def test_a_broken_entry_point_is_named(outside):
    with pytest.raises(UserError, match=r"entry point no_such_package_of_parts of group hicm\.encoders, which cannot"):
        make_encoder("broken:1")


def test_errors_list_every_installed_part(outside, tmp_path):
    with pytest.raises(UserError, match=r"memory\.encoder: 'word2vec:300'") as refusal:
        make_encoder("word2vec:300")
    for form in ("array:<npz>", "hashing:<width>", "hf:<", "openclip:<", "broken", "constant"):
        assert form in str(refusal.value)
    with pytest.raises(UserError, match=r"memory\.summariser: 'median'") as refusal:
        make_summariser("median", SummaryConfig(), tmp_path)
    for form in ("medoid", "centroid", "transformers:<", "openai:<model>", "constant"):
        assert form in str(refusal.value)
    with pytest.raises(UserError, match=r"memory\.hierarchy: .*'ward'") as refusal:
        load_config(None, ["memory.hierarchy=ward"])
    for form in ("finch", "agglomerative", "kmeans", "constant"):
        assert form in str(refusal.value)


@pytest.mark.parametrize("spec", ["model_files:x", "os:x", "../encoders:x", "hashing.x:1", "__init__:x", ":x"])
def test_only_parts_are_found(spec):
    with pytest.raises(UserError, match=r"memory\.encoder: .* is not an encoder"):
        make_encoder(spec)


def test_every_documented_part_exists():
    """The tables in the packages' docstrings are read by people; the modules decide."""
    import hicm.encoders
    import hicm.memory.summarisers

    for package, function in ((hicm.encoders, "text_encoder"), (hicm.memory.summarisers, "summariser")):
        table = [line.split()[0].partition(":")[0] for line in package.__doc__.splitlines() if line.startswith("    ")]
        modules = {path.stem for path in Path(package.__file__).parent.glob("*.py")}
        found = {name for name in modules if plugins.find_part(name, package.__name__, "none", function)}
        assert set(table) == found
