"""Files of moments for tests."""

import gzip
import json
from pathlib import Path
from typing import Any


def read_packed(path: Path) -> Any:
    """The content of a packed json file."""
    return json.loads(gzip.decompress(path.read_bytes()))
