"""Released files, from a server that speaks the hub's protocol and misbehaves, and from folders."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from hicm.cli import main
from hicm.config import load_config
from hicm.data import catalogue
from hicm.data.catalogue import CATALOGUE, KINDS, command_for, message_of, with_command
from hicm.data.hub import sources
from hicm.data.hub.download import choose, download
from hicm.data.hub.records import FILE
from hicm.errors import UserError
from hicm.files import MissingFile
from tests.hub_files import DATA, FEATURES, MEMORY, MODEL, START, TRAIN, assert_complete, content_of, leftovers
from tests.hub_server import COMMIT

ROOT = Path(__file__).parents[2]
SLEEP = time.sleep  # not the one that `calm` takes away

pytestmark = pytest.mark.usefixtures("calm")


# the catalogue

@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_the_catalogue_fills_what_the_settings_name(name):
    data = load_config(ROOT / "configs" / f"{name}.yaml").data
    named = {data.features, data.speech, *(file for files in data.annotations.values() for file in files)}
    needed = {item.target for item in CATALOGUE[name] if item.kind in ("annotations", "features", "speech")}
    assert named == needed and {item.kind for item in CATALOGUE[name]} == set(KINDS)
    assert f"presave/{name}/best_model.pth" in {item.target for item in CATALOGUE[name]}
    assert all(item.needed for item in CATALOGUE[name] if item.target in needed)


def test_a_missing_file_names_its_command():
    assert command_for(TRAIN) == "hicm download yc2"
    assert command_for("/mnt/x/data/vitt/dev.json") == "hicm download vitt --out /mnt/x"
    assert command_for("data/yc2/mine.json") == command_for("train.json") == ""
    for path, remedy in ((TRAIN, "get it with 'hicm download yc2', or correct it"), ("own.json", "correct it")):
        found = message_of(MissingFile(Path(path), "annotation file", "correct it"))
        assert found == f"{path}: annotation file not found; {remedy}"
    assert with_command(TRAIN, with_command(TRAIN, "correct it")) == with_command(TRAIN, "correct it")
    assert message_of(UserError("something else")) == "something else"


def test_only_chooses_kinds():
    assert [item.kind for item in choose("vitt", ["speech", "annotations"])] == ["annotations"] * 3 + ["speech"]
    with pytest.raises(UserError, match="--only video: expected some of annotations, features"):
        choose("yc2", ["video"])
    with pytest.raises(UserError, match="download anet: released files are known for yc2 and vitt only"):
        choose("anet")


# from the hub

def test_everything_comes_and_is_recorded(hub, tmp_path):
    report = download("yc2", tmp_path / "out")
    assert report.ok and "ok: 7 files" in str(report)
    assert_complete(tmp_path / "out")
    records = json.loads((tmp_path / "out" / FILE).read_text())
    assert records.keys() == {item.target for item in CATALOGUE["yc2"]}
    found = records[FEATURES]
    assert found["sha256"] == hashlib.sha256(content_of(FEATURES)).hexdigest() and found["size"] == 25600
    assert found["source"] == f"{hub.url}/{DATA}resolve/main/{FEATURES}" and found["revision"] == COMMIT
    assert records[MEMORY]["revision"] == catalogue.MEMORY_REVISION and "hicm memory import" in str(report)
    hub.asked.clear()
    again = download("yc2", tmp_path / "out")
    assert again.ok and [row.state for row in again.rows] == ["ok"] * 7 and not hub.asked


def test_a_dry_run_counts_and_writes_nothing(hub, tmp_path):
    (tmp_path / "data/yc2").mkdir(parents=True)
    (tmp_path / TRAIN).write_bytes(content_of(TRAIN))
    report = download("yc2", tmp_path, ["annotations", "features"], dry_run=True)
    assert [(row.size, row.exact, row.state) for row in report.rows] == [
        (1280, True, "here, not yet recorded"), (1280, True, "to fetch"), (25600, True, "to fetch")]
    assert ": 28.2 kB needed (5 % to spare)" in str(report)  # 1.05 * (1,280 + 25,600)
    assert not hub.gets("") and not (tmp_path / FILE).exists() and not (tmp_path / FEATURES).exists()


def test_a_dry_run_without_net_shows_what_is_known(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    report = download("yc2", tmp_path, ["features", "model"], dry_run=True)
    assert "~900.0 MB" in str(report) and "~3.5 GB" in str(report) and "check the network" in str(report)
    assert main(["download", "yc2", "--only", "features", "--out", str(tmp_path), "--dry-run"]) == 0
    assert "source does not answer" in capsys.readouterr().out


@pytest.mark.parametrize("arrived", [1000, 13000, 25000])
def test_a_dropped_transfer_goes_on_where_it_broke_off(hub, tmp_path, arrived):
    hub.drop[DATA + FEATURES] = [arrived, (503,)]
    with pytest.raises(UserError, match=f"{FEATURES}: .* answers 503; try again later, the same command continues"):
        download("yc2", tmp_path, ["features"])
    assert not (tmp_path / FEATURES).exists() and not (tmp_path / FILE).exists()
    plan = download("yc2", tmp_path, ["features"], dry_run=True)
    assert f"{arrived / 1000:.1f} kB of it are here" in str(plan) and plan.rows[0].to_fetch == 25600 - arrived
    hub.asked.clear()
    download("yc2", tmp_path, ["features"])
    assert [asked.start for asked in hub.gets("clipvitl14.pth")] == [arrived]
    assert_complete(tmp_path, FEATURES)


def test_a_killed_download_continues(hub, tmp_path):
    whole = bytes(range(256)) * (24 << 12)  # 24 MiB
    hub.files[DATA + FEATURES] = whole
    hub.stall[DATA + FEATURES] = 21 << 20
    command = [sys.executable, "-m", "hicm", "download", "yc2", "--only", "features", "--out", str(tmp_path)]
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as running:
        limit = time.monotonic() + 30
        while sum(path.stat().st_size for path in tmp_path.rglob("*.part")) < 8 << 20 and time.monotonic() < limit:
            SLEEP(0.02)
        running.kill()
    assert not (tmp_path / FEATURES).exists()
    hub.stall.clear()
    download("yc2", tmp_path, ["features"])
    assert 8 << 20 <= hub.gets("clipvitl14.pth")[-1].start <= 21 << 20
    assert (tmp_path / FEATURES).read_bytes() == whole and leftovers(tmp_path) == []


def test_a_server_that_drops_again_and_again(hub, tmp_path):
    hub.drop[DATA + FEATURES] = [3000, 5000, 0, 4000, None]
    download("yc2", tmp_path, ["features"])
    assert [asked.start for asked in hub.gets("clipvitl14.pth")] == [0, 3000, 8000, 8000, 12000]
    assert_complete(tmp_path, FEATURES)


def test_another_version_is_not_joined_to_the_half_of_the_first(hub, tmp_path):
    hub.drop[DATA + FEATURES] = [7000, (503,)]
    with pytest.raises(UserError):
        download("yc2", tmp_path, ["features"])
    hub.files[DATA + FEATURES] = b"new" * 9000
    download("yc2", tmp_path, ["features"])
    assert (tmp_path / FEATURES).read_bytes() == b"new" * 9000 and leftovers(tmp_path) == []


@pytest.mark.parametrize("path", [FEATURES, TRAIN])
@pytest.mark.parametrize("damage", [lambda whole: b"x" + whole[1:], lambda whole: whole[:-1] + b"x"])
def test_damaged_bytes_are_not_taken(hub, tmp_path, path, damage):
    kind = next(item.kind for item in CATALOGUE["yc2"] if item.target == path)
    hub.damage[DATA + path] = damage(content_of(path))
    with pytest.raises(UserError, match=f"{path}: arrived damaged .* run the same command again"):
        download("yc2", tmp_path, [kind])
    assert not (tmp_path / path).exists() and not (tmp_path / FILE).exists() and leftovers(tmp_path) == []
    hub.damage.clear()
    download("yc2", tmp_path, [kind])
    assert_complete(tmp_path, path)


def test_a_memory_that_is_not_the_released_one_is_not_taken(hub, tmp_path):
    key = next(key for key in hub.files if key.endswith("70B.pkl"))
    hub.files[key] = b"another"
    with pytest.raises(UserError, match=r"70B\.pkl: arrived damaged"):
        download("yc2", tmp_path, ["memory"])


@pytest.mark.parametrize(("status", "code", "said"), [
    (404, "EntryNotFound", r"not at http.* \(404\); look for it at https://huggingface.co/datasets/Geppa/HiCM2"),
    (404, "RevisionNotFound", "has no such revision; correct --revision"),
    (401, "RepoNotFound", "does not exist, or you have no access.*'hf auth login' or set HF_TOKEN"),
    (401, "", "does not exist, or you have no access"),
    (403, "GatedRepo", "is gated; accept its terms at https"),
    (403, "", "does not exist, or you have no access"),
    (500, "", "answers 500; try again later"),
])
def test_refusals_name_the_file_and_the_remedy(hub, tmp_path, status, code, said):
    hub.refuse[DATA + FEATURES] = (status, code)
    with pytest.raises(UserError, match=f"^{FEATURES}: .*{said}") as refused:
        download("yc2", tmp_path)
    assert "\n" not in str(refused.value) and not (tmp_path / TRAIN).exists(), "known before anything is fetched"


def test_an_optional_file_may_be_missing_unless_it_is_asked_for(hub, tmp_path):
    del hub.files[MODEL + START]
    report = download("yc2", tmp_path)
    assert report.ok and "optional, not fetched" in str(report) and "ok: 6 files" in str(report)
    assert f"{START}: not at {hub.url}" in str(report)
    with pytest.raises(UserError, match=f"{START}: not at"):
        download("yc2", tmp_path, ["model"])
    assert not download("yc2", tmp_path, ["model"], dry_run=True).ok


def test_no_network_and_the_offline_switch(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=f"{TRAIN}: HF_HUB_OFFLINE forbids .* unset it; or give --from FOLDER"):
        download("yc2", tmp_path)
    assert not hub.asked
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=f"{TRAIN}: .* does not answer.*check the network.*--from FOLDER"):
        download("yc2", tmp_path)


def test_a_small_disk_is_seen_before_anything_is_fetched(hub, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("hicm.data.hub.download.shutil.disk_usage", lambda path: usage(0, 0, 28000))
    with pytest.raises(UserError, match=r"29.6 kB are needed \(5 % to spare\) and 28.0 kB are free; free space"):
        download("yc2", tmp_path, ["annotations", "features"])
    assert not hub.gets("") and not (tmp_path / TRAIN).exists()
    assert "too little" in str(download("yc2", tmp_path, ["annotations", "features"], dry_run=True))
    assert download("yc2", tmp_path, ["annotations"]).ok


def test_links_to_another_disk_are_followed(hub, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    large = tmp_path / "large"
    large.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "data").symlink_to(large)
    monkeypatch.setattr("hicm.data.hub.download.shutil.disk_usage",
                        lambda path: usage(0, 0, 10 ** 9 if path.resolve() == large else 0))
    assert download("yc2", tmp_path / "out", ["annotations"]).ok
    assert (large / "yc2" / "train.json").read_bytes() == content_of(TRAIN)


def test_two_commands_do_not_write_one_file(hub, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    item = choose("yc2", ["features"])[0]
    part = sources.part_path(tmp_path / FEATURES, sources.open_source("", "main").look(item))
    part.parent.mkdir(parents=True)
    with open(part, "ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UserError, match=f"{FEATURES}: another hicm download is fetching it"):
            download("yc2", tmp_path, ["features"])
    assert download("yc2", tmp_path, ["features"]).ok


@pytest.mark.parametrize("cdn", [False, True])
def test_the_token_goes_to_the_hub_only(hub, tmp_path, monkeypatch, cdn):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.cdn = cdn
    report = download("yc2", tmp_path / "out")
    assert_complete(tmp_path / "out")
    told = {asked.path for asked in hub.asked if "Authorization" in asked.headers}
    assert any("/resolve/" in path for path in told)
    assert any(asked.path.startswith("/cdn/") for asked in hub.asked) == cdn
    assert all("/resolve/" in path for path in told), "neither the host of large files nor the git host"
    assert "hf_secret" not in str(report) + (tmp_path / "out" / FILE).read_text()
