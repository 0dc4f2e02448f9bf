"""The viewer as a page of its own: style sheets, scripts and the JSON of the views in one file.

Other pages show viewers with `styles`, `script` and `viewer`: the script sets up every element that `viewer` wrote.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import hicm

ASSETS = Path(__file__).with_name("assets")

STYLES = ("colours", "base", "player", "timeline", "panels", "print")
CORE = ("time", "layout", "viewport", "events", "history", "search", "signals", "player", "session", "keep", "saver",
        "colours", "dom")  # state and helpers that the parts share
EXPORTS = ("numbers", "text", "clock", "chapters", "xml", "place",  # what the formats share
           "json", "srt", "vtt", "txt", "youtube", "vtt_chapters", "matroska", "ffmetadata", "csv", "activitynet",
           "labelstudio", "elan", "edl", "fcpxml", "audacity")  # the formats, in the order of the menu
PARTS = ("stage", "captions", "transport", "paint", "gestures", "timeline", "list", "editor", "memory", "notices",
         "saving", "exporting", "keys", "link")
SCRIPTS = (*(f"core/{name}" for name in CORE), *(f"exports/{name}" for name in EXPORTS),
           *(f"parts/{name}" for name in PARTS), "viewer", "boot")  # in this order

# What JSON may not hold inside an element: the ends of elements and of lines, and what is not UTF-8.
UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def render(views: Sequence[Mapping[str, Any]], title: str, back: tuple[str, str] | None = None,
           requests: str = "") -> str:
    """A page with a viewer for each view, the JSON of `hicm.viewer.content`, one below the other, and links to each.

    The page runs its own script only, and requests nothing from the network unless it has ``requests``.
    back: text and address of a link to the page that this one belongs to
    requests: a script that defines ``hicm.requests`` (`core/saver.js`), by which views with ``save`` are saved on the
        server of the page; the policy of the page allows requests to no other
    """
    heading = _links("Pages", [back]) if back else ""
    if len(views) != 1:
        numbered = [(view["title"], f"#view={number}") for number, view in enumerate(views, start=1)]
        heading += f"<h1>{_escaped(title)}</h1>\n{_links('Videos', numbered)}"
    shown = "\n".join(viewer(view, "h1" if len(views) == 1 else "h2") for view in views)
    page_styles, code = styles() + asset("style/page.css"), requests + script()
    allowed = policy(page_styles, code) + ("; connect-src 'self'" if requests else "")
    fields = {"policy": allowed, "version": hicm.__version__, "title": _escaped(title),
              "styles": page_styles, "heading": heading, "views": shown, "script": code}
    return re.sub(r"\{\{(\w+)\}\}", lambda found: fields[found[1]], asset("page.html"))


def _links(label: str, links: Sequence[tuple[str, str]]) -> str:
    written = "".join(f'<a href="{_escaped(address)}">{_escaped(text)}</a>\n' for text, address in links)
    return f'<nav aria-label="{label}">\n{written}</nav>\n'


def _escaped(text: str) -> str:
    """Text escaped for HTML; "?" for lone surrogates."""
    return html.escape(text.encode("utf-8", "replace").decode())


def viewer(view: Mapping[str, Any], heading: str = "h2") -> str:
    """The element that becomes a viewer of a view; ``heading`` is the tag of its title."""
    name = _escaped(view["title"])
    return (f'<div class="viewer" data-heading="{heading}"><script type="application/json">{view_json(view)}</script>'
            f"<noscript><{heading}>{name}</{heading}><p>This video and its events need JavaScript to be shown.</p>"
            "</noscript></div>")


def view_json(view: Mapping[str, Any]) -> str:
    """The JSON of a view, safe inside a script element.

    ``made_by`` is a string of JSON in it, because a browser would not write its numbers back as Python does.
    """
    made_by = json.dumps(view.get("made_by", {}), indent=1, ensure_ascii=False)
    text = json.dumps({**view, "made_by": made_by}, ensure_ascii=False, allow_nan=False)
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def styles() -> str:
    """The style sheets of the viewer, which apply to viewers only."""
    return "".join(asset(f"style/{name}.css") for name in STYLES)


def script() -> str:
    """All scripts of the viewer in one."""
    return "".join(asset(f"{name}.js") for name in SCRIPTS)


def policy(style: str, code: str) -> str:
    """The Content-Security-Policy of a page with this style sheet and this script: nothing else runs or is fetched."""
    return (f"default-src 'none'; script-src '{_hash(code)}'; style-src '{_hash(style)}'; "
            "media-src 'self' file: blob:; img-src data: blob:; base-uri 'none'; form-action 'none'")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def asset(name: str) -> str:
    """The text of a file of the viewer."""
    return (ASSETS / name).read_text(encoding="utf-8")
