"""Make docs/images/{viewer,server}.png: the viewer and the page of hicm serve, with a drawn film and made-up captions.

    python scripts/make_pictures.py

Needs Playwright's Python package (`pip install playwright`) and Chromium (HICM_CHROMIUM names it, default: chromium).
"""

import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw

from hicm.files import write_text
from hicm.types import Event, RecalledNode, RecalledPart, Span
from hicm.viewer.content import Lane, View
from hicm.viewer.page import render

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "images"
SECONDS, RATE, SIZE = 36, 5, (960, 540)
HILLS = ((0.006, 0.0, 60, 330, (96, 125, 117)), (0.009, 2.0, 45, 390, (66, 96, 88)),
         (0.013, 4.0, 30, 450, (40, 66, 60)))


def picture(second: float) -> Image.Image:
    """A sun that rises over hills and sets behind them, and a balloon that passes."""
    share = second / SECONDS
    height = math.sin(math.pi * share)
    top, low = np.array([40, 60, 110]), np.array([250, 180, 110])
    day = np.array([120, 180, 230])
    rows = np.linspace(0, 1, SIZE[1])[:, None]
    sky = (1 - height) * ((1 - rows) * top + rows * low) + height * ((1 - rows) * day + rows * (235, 240, 245))
    image = Image.fromarray(np.broadcast_to(sky[:, None], (SIZE[1], SIZE[0], 3)).astype(np.uint8).copy())
    draw = ImageDraw.Draw(image)
    x, y = 80 + 800 * share, 420 - 330 * height
    draw.ellipse((x - 38, y - 38, x + 38, y + 38), fill=(255, 226, 140))
    for scale, shift, size, base, colour in HILLS:
        ridge = [(at, base + size * math.sin(at * scale + shift) + size / 3 * math.sin(at * scale * 2.7)) for at in
                 range(0, SIZE[0] + 8, 8)]
        draw.polygon([(0, SIZE[1]), *ridge, (SIZE[0], SIZE[1])], fill=colour)
    if 12 <= second < 27:
        x, y = 60 + (second - 12) * 55, 190 + 18 * math.sin(second / 2)
        draw.polygon([(x - 30, y + 18), (x + 30, y + 18), (x + 9, y + 62), (x - 9, y + 62)], fill=(186, 60, 52))
        draw.ellipse((x - 40, y - 44, x + 40, y + 36), fill=(214, 84, 68))
        draw.rectangle((x - 9, y + 68, x + 9, y + 80), fill=(90, 60, 40))
    return image


def write_film(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        (stream.width, stream.height), stream.pix_fmt = SIZE, "yuv420p"
        for number in range(SECONDS * RATE):
            container.mux(stream.encode(av.VideoFrame.from_image(picture(number / RATE))))
        container.mux(stream.encode(None))
    return path


def event(start: float, end: float, text: str, score: float | None = None) -> Event:
    return Event(Span(start, end), text, score)


def view() -> View:
    """Two systems and a reference, made up; the second one recalled something."""
    below = (RecalledNode(0, "a hot-air balloon drifts over a valley", 0.34, source="balloon_07"),
             RecalledNode(0, "a balloon lands in a field", 0.29, source="festival_02"))
    path = RecalledNode(2, "people fly in balloons and gliders", 0.24,
                        below=(RecalledNode(1, "a balloon floats in the sky", 0.31, below=below),))
    memory = RecalledPart(Span(12.0, 27.0), (path, RecalledNode(2, "the sun rises over mountains", 0.22)))
    return View("hills", float(SECONDS), (
        Lane("with memory", "prediction", (
            event(0, 11.4, "the sun rises over the hills", 0.71),
            event(12.2, 26.6, "a balloon drifts over the hills", 0.64),
            event(27, 36, "the sun sets", 0.58)), (memory,)),
        Lane("without memory", "prediction", (event(0, 15.5, "the sky is shown"), event(15.5, 36, "a ball is thrown"))),
        Lane("reference", "reference", (event(0, 12, "the sun comes up behind a row of hills"), event(
            12, 27, "a red balloon passes from left to right"), event(27, 36, "the sun goes down")))),
        video="hills.mp4", frame_rate=float(RATE), size=SIZE)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """hicm serve with a memory that comes with hicm; yields its address."""
    run = [sys.executable, "-m", "hicm"]
    subprocess.run([*run, "memory", "build", "everyday", "--set", "memory.encoder=hashing:64"], cwd=folder, check=True)
    process = subprocess.Popen([*run, "serve", "--memory", "presave/everyday/bank", "--port", "0"], cwd=folder,
                               stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
    finally:
        process.terminate()
        process.wait()


def send(page: Any, film: Path, name: str) -> None:
    page.set_input_files("input[type=file]", {"name": name, "mimeType": "video/mp4", "buffer": film.read_bytes()})


def main() -> None:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which(os.environ.get("HICM_CHROMIUM", "chromium"))
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place)
        film = write_film(folder / "hills.mp4")
        page_file = write_text(folder / "hills.html", render([view().to_json()], "hills"))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page: Any = browser.new_page(viewport={"width": 1200, "height": 1120})
        page.goto(page_file.as_uri())
        page.locator(".list").get_by_text("a balloon drifts over the hills").click()
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(1500)
        page.screenshot(path=PICTURES / "viewer.png")
        with server(folder) as address:
            page = browser.new_page(viewport={"width": 1000, "height": 800})
            page.goto(address)
            send(page, film, "hills.mp4")
            page.locator("[data-state=done]").wait_for(timeout=120_000)
            for name in ("harbour.mp4", "market.mp4"):
                send(page, film, name)
            page.locator("[data-state=running] progress").wait_for()
            page.locator("[data-state=uploading]").wait_for(state="detached")
            page.screenshot(path=PICTURES / "server.png")
        browser.close()
    for picture_name in ("viewer", "server"):
        print(PICTURES / f"{picture_name}.png")


if __name__ == "__main__":
    main()
