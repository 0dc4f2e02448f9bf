"""The parts of the viewer that need no page, in node; and the page that holds them, as text."""

import hashlib
import html.parser
import json
import re
import subprocess
from base64 import b64encode
from pathlib import Path

import pytest

from hicm.viewer import page
from tests.viewer.node import node
from tests.viewer.views import MARKUP, event, lane, several, view

LONGEST = 400  # lines a file, as of modules


def test_the_parts_without_a_page(tmp_path):
    script = tmp_path / "viewer.js"
    script.write_text(page.script(), encoding="utf-8")
    done = subprocess.run([node(), "--test", str(Path(__file__).with_name("parts.test.js"))], capture_output=True,
                          text=True, env={"HICM_SCRIPT": str(script)}, timeout=120)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", sorted(page.ASSETS.rglob("*.*")), ids=lambda path: path.name)
def test_files_are_short_and_load_nothing(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST
    assert not re.search(r"https?://(?!www\.w3\.org/|www\.mpi\.nl/)|@import|url\(", text)
    if path.suffix == ".js":
        assert text.startswith('"use strict";\n')
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|fetch\(", text)
        assert "</script" not in text and "<!--" not in text
        assert max(map(len, text.splitlines())) <= 120


class Elements(html.parser.HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.content: dict[str, list[str]] = {}
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        fields = dict(attrs)
        if fields.get("http-equiv") == "Content-Security-Policy":
            self.policy = fields["content"] or ""

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.content.setdefault(self.tags[-1], []).append(data)


def test_captions_cannot_close_an_element():
    views = [view([lane([event(0, 1, text) for text in MARKUP], text)], name=text, made_by={text: text})
             for text in MARKUP]
    text = page.render(views, MARKUP[2])
    text.encode()
    found = Elements(text)
    assert found.tags.count("script") == len(MARKUP) + 1 and "img" not in found.tags and "svg" not in found.tags
    for given, written in zip(views, found.content["script"], strict=False):
        back = json.loads(written)
        assert json.loads(back.pop("made_by")) == given["made_by"]
        assert back == {name: value for name, value in given.items() if name != "made_by"}
        assert not re.search("[<>&\u2028\u2029]", written)


def test_without_scripts_each_video_is_named():
    text = page.render([view([lane([])], name="<b>"), several()], "made up")
    named = re.findall("<noscript><h2>(.*?)</h2><p>.*?JavaScript.*?</noscript>", text)
    assert named == ["&lt;b&gt;", "women_long_jump"]


def test_only_the_page_s_own_script_and_styles_are_allowed():
    text = page.render([several()], "made up")
    found = Elements(text)
    for kind, tag in (("script", "script"), ("style", "style")):
        code = found.content[tag][-1]
        digest = b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in found.policy
    assert found.policy.startswith("default-src 'none'; ") and "unsafe" not in found.policy
    assert not re.search(r"\son\w+=|\sstyle=", re.sub(r"<(script|style)[ >].*?</\1>", "", text, flags=re.S))


def test_numbers_of_how_it_was_made_stay_as_they_were():
    made_by = {"one": 1, "float": 1.0, "nan": float("nan"), "big": 2 ** 70}
    assert json.loads(page.view_json(several() | {"made_by": made_by}))["made_by"] == json.dumps(made_by, indent=1)
