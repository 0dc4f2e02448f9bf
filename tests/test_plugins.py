"""Parts found by name, in a package planted for the purpose and through entry points."""

import sys

import pytest

from hicm.errors import UserError
from hicm.plugins import check_name, find_module, known

ROOM = ("house.lamps", "house.lamps")


def entry_point(folder, name: str, value: str, project: str) -> None:
    info = folder / f"{project}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[house.lamps]\n{name} = {value}\n")


@pytest.fixture
def house(tmp_path, monkeypatch):
    lamps = tmp_path / "house" / "lamps"
    files = {"oil.py": "def light():\n    return 'oil'\n", "gas.py": "light = lambda: 'gas'\n",
             "broken.py": "import house.nowhere\nlight: object = None\n", "_hidden.py": "def light(): ...\n",
             "helpers.py": "from house.lamps.oil import light\ndef wick():\n    def light(): ...\n",
             "chandelier/__init__.py": "", "chandelier/light.py": "", "shop/__init__.py": "", "__init__.py": ""}
    for name, text in files.items():
        path = lamps / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "house" / "__init__.py").write_text("")
    (tmp_path / "neon.py").write_text("def light():\n    return 'neon'\n")
    (tmp_path / "dark.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("house", "neon", "dark")]:
        del sys.modules[name]


def test_a_part_is_a_module_that_defines_the_name(house):
    assert known(*ROOM, "light") == ["broken", "chandelier", "gas", "oil"]
    assert not {"house.lamps.oil", "house.lamps.broken"} & sys.modules.keys(), "listing imports no part"
    assert find_module(*ROOM, "oil", "room.lamp", "light").light() == "oil"
    assert find_module(*ROOM, "gas", "room.lamp", "light").light() == "gas"
    assert find_module(*ROOM, "chandelier", "room.lamp", "light").__name__ == "house.lamps.chandelier"
    assert "helpers" in known(*ROOM) and "_hidden" not in known(*ROOM), "without a name to define, all public modules"
    with pytest.raises(ImportError, match=r"house\.nowhere"):
        find_module(*ROOM, "broken", "room.lamp", "light")


@pytest.mark.parametrize("name", ["oill", "helpers", "_hidden", "shop", "", "oil.light", ".oil", "../oil"])
def test_an_unknown_name(house, name):
    for refuse in (check_name, find_module):
        with pytest.raises(UserError, match=r"room\.lamp: expected one of 'broken', .*found.*did you mean"):
            refuse(*ROOM, name, "room.lamp", "light")


def test_the_nearest_name_is_given(house):
    with pytest.raises(UserError, match=r"found 'oill'; did you mean 'oil'\?"):
        check_name(*ROOM, "oill", "room.lamp", "light")
    with pytest.raises(UserError, match=r"neither house\.lamps\.shop nor an entry point of group house\.none offers"):
        check_name("house.lamps.shop", "house.none", "oil", "room.lamp", "light")


def test_another_package_offers_a_part(house):
    entry_point(house, "neon-tube", "neon", "neon")
    entry_point(house, "oil", "neon", "usurper")
    assert known(*ROOM, "light") == ["broken", "chandelier", "gas", "neon-tube", "oil"]
    check_name(*ROOM, "neon-tube", "room.lamp", "light")
    assert find_module(*ROOM, "neon-tube", "room.lamp", "light").light() == "neon"
    assert find_module(*ROOM, "oil", "room.lamp", "light").light() == "oil", "ours come first"


@pytest.mark.parametrize(("values", "message"), [
    (["dark"], "'lamp' is the entry point dark of group house.lamps; expected a module that defines light, found"),
    (["neon:light"], "expected a module that defines light, found function light"),
    (["nowhere"], "which cannot be imported"),
    (["neon", "dark"], r"several installed packages offer 'lamp' \((neon and dark|dark and neon)\)"),
])
def test_an_offer_that_cannot_be_used(house, values, message):
    for value in values:
        entry_point(house, "lamp", value, f"project{values.index(value)}")
    with pytest.raises(UserError, match=message):
        find_module(*ROOM, "lamp", "room.lamp", "light")
