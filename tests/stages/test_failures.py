"""The record of videos that failed: it stops no work, and loses nobody's lines."""

import json
import warnings

import pytest

from hicm.errors import UserError
from hicm.stages.each_video import each_video
from hicm.stages.failures import Failures


def broken(video):
    raise UserError(f"{video}: broken")


def test_lines_that_are_not_ours_stay(tmp_path):
    record, video = tmp_path / "failed.jsonl", tmp_path / "a.mp4"
    notes = 'torn {"video"\n[1, 2]\n{"video": "other.mp4", "reason": "x"}\nmind the gap\n'
    record.write_text(f"{notes}{json.dumps({'video': str(video), 'reason': 'old'})}\n")
    Failures(record).note(video, "new", "frames")
    assert record.read_text() == f"{notes}{json.dumps({'video': str(video), 'stage': 'frames', 'reason': 'new'})}\n"
    Failures(record).note(video, None)
    assert record.read_text() == notes
    before = record.stat().st_mtime_ns
    Failures(record).note(video, None)
    assert record.stat().st_mtime_ns == before, "nothing to write"


def damage_utf16(path):
    path.write_text("notes", encoding="utf-16")


def damage_bytes(path):
    path.write_bytes(b"\xff\x00" * 9)


def damage_folder(path):
    path.mkdir()


def damage_file_above(path):
    path.parent.rmdir()
    path.parent.write_text("a file")


def damage_lock(path):
    path.touch()
    path.with_name(f".{path.name}.lock").mkdir()


@pytest.mark.parametrize("damage", [damage_utf16, damage_bytes, damage_folder, damage_file_above, damage_lock])
@pytest.mark.parametrize("fails", [True, False])
def test_a_record_that_cannot_be_kept_stops_no_work(tmp_path, capsys, damage, fails):
    """It is said once, every video is counted once, and what is there stays."""
    out = tmp_path / "out"
    out.mkdir()
    record = out / "failed.jsonl"
    damage(record)
    before = record.read_bytes() if record.is_file() else b""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        summary = each_video([tmp_path / name for name in ("a.mp4", "b.mp4", "c.mp4")],
                             lambda: broken if fails else lambda video: True, out, "captioned")
    assert (summary.failed, summary.done) == ((("a", "b", "c"), ()) if fails else ((), ("a", "b", "c")))
    if fails:
        assert [str(line.message).rpartition("; ")[2] for line in said] == ["failures are printed, but not recorded"]
        assert capsys.readouterr().err.count(": broken\n") == 3
    assert len(said) <= 1 and all(str(record) in str(line.message) for line in said)
    assert (record.read_bytes() if record.is_file() else b"") == before


def test_odd_names_stay_in_their_line(tmp_path, capsys):
    video = tmp_path / "a\nb\x1b[2J\udce9.mp4"
    summary = each_video([video], lambda: broken, tmp_path / "o\nut", "captioned")
    assert str(summary).count("\n") == 0 and capsys.readouterr().err.count("\n") == 1
    [line] = (tmp_path / "o\nut" / "failed.jsonl").read_text().splitlines()
    assert json.loads(line)["video"] == str(video)
