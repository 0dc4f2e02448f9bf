"""A page of moments that were found in videos: a picture of each, with a link into the viewer."""

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

import hicm
from hicm.viewer.page import asset, policy, styles


@dataclass(frozen=True)
class Card:
    """One moment: ``link`` leads to it, ``picture`` is a JPEG file (None: there is none), ``caption`` may be empty."""

    title: str
    times: str
    score: str
    link: str
    picture: bytes | None = None
    caption: str = ""


def render(question: str, about: str, cards: Sequence[Card]) -> str:
    """The page: the question, how it was answered, and the moments in their order.  It needs no network or script."""
    style = styles() + asset("style/page.css") + asset("found.css")
    shown = "\n".join(map(_card, cards)) or "<li>No moment was found.</li>"
    fields = {"policy": policy(style, ""), "version": hicm.__version__, "styles": style, "question": _escaped(question),
              "about": _escaped(about), "cards": shown}
    return re.sub(r"\{\{(\w+)\}\}", lambda found: fields[found[1]], asset("found.html"))


def _card(card: Card) -> str:
    data = "" if card.picture is None else base64.b64encode(card.picture).decode()
    picture = f'<img src="data:image/jpeg;base64,{data}" alt="">' if data else '<span class="none"></span>'
    caption = f"<p>{_escaped(card.caption)}</p>" if card.caption else ""
    return (f'<li><a href="{_escaped(card.link)}">{picture}<b>{_escaped(card.title)}</b></a>'
            f"<span>{_escaped(card.times)}</span> <small>{_escaped(card.score)}</small>{caption}</li>")


def _escaped(text: str) -> str:
    """Text escaped for HTML; "?" for lone surrogates."""
    return html.escape(text.encode("utf-8", "replace").decode())
