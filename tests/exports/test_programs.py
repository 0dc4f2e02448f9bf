"""Chapters by the programs that put them into videos and read them: MKVToolNix and ffmpeg, where they are installed."""

import json
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest

from hicm.exports import Captioned, write
from hicm.types import Event, Span
from tests.video.videos import write_video

FOUND = (Event(Span(0, 5), "Make dinner & <b>serve</b> \"it\" 'now'", level=0),
         Event(Span(0, 2), "Chop = onions; #1 \\ 🍳", level=1), Event(Span(2, 5), "Fry; 卵焼き — é", level=1),
         Event(Span(2.5, 3.25), "stir [CHAPTER]", level=2), Event(Span(5, 8), "Eat\nnow\\", level=0),
         Event(Span(6, 7.5), "]]> & end 👩‍🍳", level=1))
TREE = [(0, 5000, FOUND[0].text, [(0, 2000, FOUND[1].text, []),
                                  (2000, 5000, FOUND[2].text, [(2500, 3250, FOUND[3].text, [])])]),
        (5000, 8000, "Eat now\\", [(6000, 7500, FOUND[5].text, [])])]


def needs(*programs):
    absent = [name for name in programs if shutil.which(name) is None]
    return pytest.mark.skipif(bool(absent), reason=f"needs {', '.join(absent)}")


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, timeout=60).stdout


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "plain.mp4", [0.0, 4.0], 8.0)


@pytest.fixture
def written(tmp_path):
    """What is written as a format."""
    return lambda name: write(Captioned("x", "x.mp4", 8.0, FOUND), tmp_path, name)


def tree(parent):
    return [(milliseconds(atom.findtext("ChapterTimeStart")), milliseconds(atom.findtext("ChapterTimeEnd")),
             atom.findtext("ChapterDisplay/ChapterString"), tree(atom)) for atom in parent.findall("ChapterAtom")]


def milliseconds(clock):
    hours, minutes, seconds = map(float, clock.split(":"))
    return round(((hours * 60 + minutes) * 60 + seconds) * 1000)


@needs("mkvmerge", "mkvextract", "mkvpropedit")
@pytest.mark.parametrize("how", ["mkvmerge", "mkvpropedit"])
def test_nested_chapters_in_matroska(video, written, tmp_path, how):
    out, chapters = tmp_path / "out.mkv", written("matroska")
    run("mkvmerge", "-o", out, *(["--chapters", chapters] if how == "mkvmerge" else []), video)
    if how == "mkvpropedit":
        run("mkvpropedit", out, "--chapters", chapters)
    [edition] = ET.fromstring(run("mkvextract", out, "chapters", "-")).findall("EditionEntry")
    assert tree(edition) == TREE
    assert json.loads(run("mkvmerge", "-J", out))["chapters"] == [{"num_entries": 2}]


def played(path):
    found = json.loads(run("ffprobe", "-v", "error", "-show_chapters", "-of", "json", path))["chapters"]
    return [(round(float(one["start_time"]) * 1000), round(float(one["end_time"]) * 1000), one["tags"]["title"].strip())
            for one in found]


@needs("ffmpeg", "ffprobe")
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_chapters_in_sequence_by_ffmpeg(video, written, tmp_path, suffix):
    """By the command of docs/own_videos.md; MP4 knows no end of a chapter but the next one's start."""
    out, ends = tmp_path / f"out.{suffix}", [2000, 2500, 5000 if suffix == "mp4" else 3250, 6000, 7500]
    chapters = written("ffmetadata")
    run("ffmpeg", "-i", video, "-i", chapters, "-map_metadata", 0, "-map_chapters", 1, "-codec", "copy", out)
    texts = [f"{FOUND[0].text} / {FOUND[1].text}", FOUND[2].text, FOUND[3].text, "Eat now\\", FOUND[5].text]
    assert played(out) == list(zip([0, 2000, 2500, 5000, 6000], ends, texts, strict=True))


@needs("mkvmerge", "ffprobe")
def test_ffmpeg_shows_the_outer_chapters_of_matroska(video, written, tmp_path):
    run("mkvmerge", "-o", tmp_path / "out.mkv", "--chapters", written("matroska"), video)
    assert played(tmp_path / "out.mkv") == [one[:3] for one in TREE]


@needs("ffprobe")
@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_subtitles_by_ffprobe(written, name):
    found = json.loads(run("ffprobe", "-v", "error", "-show_packets", "-of", "json", written(name)))["packets"]
    times = [(round(float(one["pts_time"]) * 1000), round(float(one["duration_time"]) * 1000)) for one in found]
    assert sorted(times) == sorted((round(event.span.start * 1000), round((event.span.end - event.span.start) * 1000))
                                   for event in FOUND)
