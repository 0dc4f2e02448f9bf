"""Released files that are there already; from a folder, from a mirror."""

import json
import shutil

import pytest

from hicm.cli import main
from hicm.data.hub import sources
from hicm.data.hub.download import choose, download
from hicm.data.hub.records import FILE, Records, digest_file
from hicm.errors import UserError
from tests.hub_files import FEATURES, TRAIN, assert_complete, content_of, leftovers
from tests.hub_server import COMMIT, serve_hub

pytestmark = pytest.mark.usefixtures("calm")


# what is there already

def test_a_changed_file_is_refused_by_name(hub, tmp_path, capsys):
    download("yc2", tmp_path, ["annotations"])
    (tmp_path / TRAIN).write_text("{}")
    command = ["download", "yc2", "--only", "annotations", "--out", str(tmp_path)]
    assert main(command) == 2
    assert f"{tmp_path / TRAIN}: changed since it was fetched on 20" in capsys.readouterr().err
    assert main([*command, "--dry-run"]) == 1 and (tmp_path / TRAIN).read_text() == "{}"
    assert main([*command, "--accept-changes"]) == 0 and main(command) == 0
    (tmp_path / TRAIN).unlink()
    assert main(command) == 0
    assert "another version than that of 20" in capsys.readouterr().out
    assert_complete(tmp_path, TRAIN)


def test_a_file_put_there_by_hand_is_recorded(hub, tmp_path):
    (tmp_path / FEATURES).parent.mkdir(parents=True)
    (tmp_path / FEATURES).write_bytes(b"mine")
    assert download("yc2", tmp_path, ["features"]).rows[0].state == "recorded as it is here" and not hub.asked
    (tmp_path / FEATURES).write_bytes(b"mime")
    with pytest.raises(UserError, match="changed since"):
        download("yc2", tmp_path, ["features"])


@pytest.mark.parametrize("text", ["[]", "{", '{"a": 1}', '{"a": {"sha256": 1}}', "\x00"])
def test_damaged_records_are_refused(tmp_path, text):
    (tmp_path / "data").mkdir()
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UserError, match=r"checksums\.json: "):
        Records(tmp_path)


def test_digests_are_those_of_the_hub(tmp_path):
    (tmp_path / "x").write_bytes(b"hello\n")
    digests = digest_file(tmp_path / "x")
    assert digests.git == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object
    assert digests.sha256 == "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"  # sha256sum
    assert digests.matches("") and digests.matches(digests.git) and not digests.matches(COMMIT)


# from a folder, from a mirror

def test_a_folder(mirror, tmp_path):
    out = tmp_path / "out"
    assert download("yc2", out, source=str(mirror)).ok
    assert_complete(out)
    assert json.loads((out / FILE).read_text())[TRAIN]["source"] == str(mirror / TRAIN)
    (mirror / FEATURES).unlink()
    with pytest.raises(UserError, match=f"{FEATURES}: {mirror} has no {FEATURES}"):
        download("yc2", tmp_path / "other", source=str(mirror))
    assert not (tmp_path / "other").exists()
    with pytest.raises(UserError, match="no such folder; --from takes a folder or URL"):
        download("yc2", tmp_path / "other", source=str(tmp_path / "none"))


def test_a_folder_whose_records_disagree(mirror, tmp_path):
    download("yc2", mirror)
    (mirror / FEATURES).write_bytes(b"other")
    with pytest.raises(UserError, match=f"{mirror / FEATURES}: sha256 .* is recorded; the copy is damaged"):
        download("yc2", tmp_path / "out", source=str(mirror))
    assert not (tmp_path / "out" / FEATURES).exists() and leftovers(tmp_path / "out") == []
    assert (tmp_path / "out" / TRAIN).exists(), "what came before is kept"


def test_a_mirror_by_url(mirror, tmp_path):
    files = {f"/some/where/{path.relative_to(mirror).as_posix()}": path.read_bytes()
             for path in mirror.rglob("*") if path.is_file()}
    with serve_hub(files) as server:
        server.drop[f"/some/where/{FEATURES}"] = [9000, (503,)]
        with pytest.raises(UserError, match="503"):
            download("yc2", tmp_path / "out", source=f"{server.url}/some/where/")
        assert download("yc2", tmp_path / "out", source=f"{server.url}/some/where/").ok
        assert server.gets("clipvitl14.pth")[-1].start == 9000
        assert not any("Authorization" in asked.headers for asked in server.asked)
    assert_complete(tmp_path / "out")


@pytest.mark.parametrize("given", ["http://", "ftp://host/x", "https:///data", "http://a b/c", "http://\x00"])
def test_a_mirror_without_host(tmp_path, given):
    with pytest.raises(UserError, match="expected http://host/"):
        download("yc2", tmp_path, source=given)


def test_a_mirror_that_tells_no_size(tmp_path):
    """Such a transfer begins again: a server would answer 416 to a wish for bytes past the end."""
    with serve_hub({f"/{FEATURES}": content_of(FEATURES)}) as server:
        server.sizeless = True
        server.drop[f"/{FEATURES}"] = [None]
        for out in ("a", "b"):
            item = choose("yc2", ["features"])[0]
            part = sources.part_path(tmp_path / out / FEATURES, sources.open_source(server.url, "main").look(item))
            part.parent.mkdir(parents=True)
            part.write_bytes(content_of(FEATURES)[:9000 if out == "a" else 25600])
            assert download("yc2", tmp_path / out, ["features"], source=server.url).ok
            assert server.gets("clipvitl14.pth")[-1].start == 0
            assert_complete(tmp_path / out, FEATURES)


def test_records_of_two_commands_are_joined(tmp_path):
    (tmp_path / "x").write_bytes(b"x")
    first, second = Records(tmp_path), Records(tmp_path)
    first.put("a", digest_file(tmp_path / "x"), "here", "")
    second.put("b", digest_file(tmp_path / "x"), "here", "")
    assert Records(tmp_path).get("a") is not None and Records(tmp_path).get("b") is not None


def test_a_folder_that_cannot_be_written(mirror, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        download("yc2", tmp_path / "file", ["annotations"], source=str(mirror))


def test_a_folder_in_the_place_of_a_file(hub, tmp_path):
    (tmp_path / FEATURES).mkdir(parents=True)
    with pytest.raises(UserError, match="cannot be written"):
        download("yc2", tmp_path, ["features"])


def test_a_source_on_a_removed_disk(mirror, tmp_path, monkeypatch):
    source = sources.open_source(str(mirror), "main")
    item = choose("yc2", ["features"])[0]
    remote = source.look(item)
    shutil.rmtree(mirror)
    with pytest.raises(UserError, match="No such file"):
        source.bring(item, remote, tmp_path / FEATURES)
    assert not (tmp_path / FEATURES).exists()
