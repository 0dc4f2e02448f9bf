"""The README of the captioner's room names all of its files and settings."""

from pathlib import Path

import hicm.systems.captioner as room
from hicm.strict import setting_names
from hicm.systems.captioner.settings import Settings

FOLDER = Path(room.__file__).parent


def test_every_file_and_setting_of_the_room_is_listed():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    files = {path.name + "/" * path.is_dir() for path in FOLDER.iterdir() if not path.name.startswith("_")}
    settings = set(setting_names(Settings).values()) - {"objective", "decode"}
    missing = [name for name in files - {"README.md"} | settings if f"`{name}`" not in page]
    assert not missing
