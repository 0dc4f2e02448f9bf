"""Pages of the viewer as their scripts read them."""

import json
import re
from typing import Any


def views_in(page: str) -> list[dict[str, Any]]:
    """The views that a page holds."""
    content = re.search(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert content, "a page has its content in it"
    found = json.loads(content[1])
    return found if isinstance(found, list) else found["views"]
