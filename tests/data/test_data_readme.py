import json
import re
from pathlib import Path

from hicm.data.annotations import read_annotations

README = Path(__file__).parents[2] / "data" / "README.md"


def test_example_of_own_data_is_read(tmp_path):
    (example,) = re.findall(r"```json\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "own.json").write_text(example)
    (video,) = read_annotations(tmp_path / "own.json").values()
    assert video.id in json.loads(example) and len(video.events) == 2
