"""A generated part of a page that is otherwise written by hand: what stands between two marks."""

from pathlib import Path

from hicm.errors import UserError
from hicm.files import read_text, write_text


def marks(name: str) -> tuple[str, str]:
    """The lines before and after the part ``name``."""
    return f"<!-- generated: {name} -->", f"<!-- end of generated: {name} -->"


def replace_part(path: str | Path, name: str, text: str) -> Path:
    """Put ``text`` between the marks of ``name``; nothing else changes.

    Raises UserError where the page does not have each mark once, in this order.
    """
    page = require_marks(path, name)
    first, last = marks(name)
    before, after = page.partition(first)[0], page.partition(last)[2]
    return write_text(path, f"{before}{first}\n{text.strip()}\n{last}{after}")


def require_marks(path: str | Path, name: str) -> str:
    """The page, if it has each mark of ``name`` once, in this order.  Raises UserError where it does not."""
    page = read_text(path, "page")
    first, last = marks(name)
    if page.count(first) != 1 or page.count(last) != 1 or page.index(first) > page.index(last):
        raise UserError(f"{path}: expected the lines '{first}' and '{last}', each once; add them where the part is to "
                        "stand")
    return page
