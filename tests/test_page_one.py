"""README's first commands caption a video: from any folder, with a memory of the sentences that come with hicm."""

import re
import shlex
from pathlib import Path

from hicm.cli import main
from hicm.exports.json import read
from hicm.packaged import packaged_captions
from tests.video.videos import write_video

ROOT = Path(__file__).parent.parent


def commands() -> list[list[str]]:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Caption a video of yours")[2]
    block = re.search(r"```bash\n(.*?)```", section, re.DOTALL)
    assert block
    return [shlex.split(line, comments=True) for line in block[1].splitlines()]


def test_the_first_commands_caption_a_video(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "bikes.mp4", [0.0, 6.0], 12.0)
    activate, build, caption = commands()
    assert activate == ["source", ".venv/bin/activate"] and (build[0], caption[0]) == ("hicm", "hicm")
    assert main([*build[1:], "--set", "memory.encoder=hashing:64"]) == 0  # no weights here
    assert main(caption[1:]) == 0
    made = read(tmp_path / "captions" / "bikes.json")
    sentences = packaged_captions("everyday.txt").read_text(encoding="utf-8").splitlines()
    assert made.events and {event.text for event in made.events} <= set(sentences)
    assert (tmp_path / "captions" / "bikes.srt").is_file()


def test_the_sentences_are_different_ones():
    sentences = packaged_captions("everyday.txt").read_text(encoding="utf-8").splitlines()
    assert len(set(sentences)) == len(sentences) == 403
    assert all(sentence == sentence.strip() and sentence for sentence in sentences)


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert packaged_captions("everyday.txt") == ROOT / "configs" / "everyday.txt"
    assert packaged_captions("mine/everyday.txt") == Path("mine/everyday.txt")
    (tmp_path / "everyday.txt").write_text("a sentence of mine\n")
    assert packaged_captions("everyday.txt") == Path("everyday.txt")
