"""Pages of the viewer as their scripts read them."""

import json
import re
from typing import Any


def views_in(page: str) -> list[dict[str, Any]]:
    """The views that a page holds, in order."""
    found = [json.loads(content) for content in re.findall(
        r'<div class="viewer"[^>]*><script type="application/json">(.*?)</script>', page, re.DOTALL)]
    return [view | {"made_by": json.loads(view["made_by"])} for view in found]
