"""Captioners to and from the hub.  The upload itself is a stand-in that notes what would go."""

import json

import pytest

from hicm.cli import main
from hicm.data.hub.share import pull, push, shared_files
from hicm.errors import UserError
from tests.hub_server import COMMIT, serve_hub

SHARED = ["README.md", "config.yaml", "manifest.json", "bank/bank.json", "bank/bank.npz", "bank/mean_frame.json",
          "best/captioner.json", "best/model.safetensors", "best/tokenizer/spiece.model",
          "best/tokenizer/tokenizer.json"]
PRIVATE = ["checkpoint.pt", "stats.jsonl", "uncommitted.diff", "predictions_val.json", "metrics_val.json",
           "retrieved_val.h5", "last/captioner.json", "last/model.safetensors", "last/tokenizer/tokenizer.json",
           "best/optimizer.pt", "best/tokenizer/evil.pkl", "tokenizer/tokenizer.json", ".env"]


@pytest.fixture(autouse=True)
def calm(monkeypatch, tmp_path):
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "yc2-12345678"
    for name in SHARED + PRIVATE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 100)
    return folder


@pytest.fixture
def hub(monkeypatch):
    files = {f"us/yc2/{name}": name.encode() * 100 for name in [*SHARED, "pytorch_model.bin", "best/optimizer.pt",
                                                                "best/tokenizer/evil.pkl", "code.py"]}
    with serve_hub(files) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


# pull

def test_pull_takes_data_only_and_remembers_the_commit(hub, tmp_path):
    out = pull("us/yc2", tmp_path / "out")
    there = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert there == {*SHARED, "pulled.json"}
    assert all((out / name).read_bytes() == name.encode() * 100 for name in SHARED)
    origin = json.loads((out / "pulled.json").read_text())
    assert (origin["repository"], origin["revision"], origin["sha256"].keys()) == ("us/yc2", COMMIT, set(SHARED))
    assert not [asked.path for asked in hub.asked if asked.path.endswith((".bin", ".pt", ".pkl", ".py"))]
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_pull_refuses_a_folder_in_use(hub, tmp_path):
    (tmp_path / "empty").mkdir()
    pull("us/yc2", tmp_path / "empty")
    with pytest.raises(UserError, match="empty: already exists; remove it, or choose another"):
        pull("us/yc2", tmp_path / "empty")


@pytest.mark.parametrize("name", ["yc2", "https://huggingface.co/us/yc2", "us/yc2/x", "../yc2/", ""])
def test_a_repository_is_owner_and_name(hub, run, tmp_path, name):
    with pytest.raises(UserError, match="expected owner/name"):
        pull(name, tmp_path / "out")
    with pytest.raises(UserError, match="expected owner/name"):
        push(run, name, dry_run=True)


def test_pull_refuses_what_is_not_ours(hub, tmp_path):
    hub.files["us/other/best_model.pth"] = b"x"
    with pytest.raises(UserError, match="us/other: holds no model of ours"):
        pull("us/other", tmp_path / "out")
    with pytest.raises(UserError, match="us/none: us/none does not exist, or you have no access"):
        pull("us/none", tmp_path / "out")
    with pytest.raises(UserError, match="expected owner/name"):
        pull("a/b/c", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../evil.json", "/evil.json", "best/../../evil.json"])
def test_names_that_lead_out_are_refused(hub, tmp_path, name):
    hub.files[f"us/yc2/{name}"] = b"{}"
    with pytest.raises(UserError, match=r"evil\.json leads out of the folder"):
        pull("us/yc2", tmp_path / "out")
    assert not list(tmp_path.rglob("evil.json"))


def test_damaged_weights_are_not_taken(hub, tmp_path):
    key = "us/yc2/best/model.safetensors"
    hub.damage[key] = b"x" * len(hub.files[key])
    with pytest.raises(UserError, match=r"best/model\.safetensors arrived damaged"):
        pull("us/yc2", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    hub.damage.clear()
    assert (pull("us/yc2", tmp_path / "out") / "best/model.safetensors").read_bytes() == hub.files[key]


def test_a_broken_pull_continues(hub, tmp_path):
    key = "us/yc2/best/tokenizer/tokenizer.json"
    hub.drop[key] = [(503,)]
    with pytest.raises(UserError, match="503; try again later, the same command continues"):
        pull("us/yc2", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    hub.asked.clear()
    pull("us/yc2", tmp_path / "out")
    assert len(hub.gets("tokenizer.json")) == 1
    assert all((tmp_path / "out" / name).read_bytes() == name.encode() * 100 for name in SHARED)


@pytest.mark.parametrize(("name", "value", "said"), [("HF_HUB_OFFLINE", "1", "HF_HUB_OFFLINE forbids"),
                                                     ("HF_ENDPOINT", "http://127.0.0.1:9", "check the network")])
def test_pull_without_net(hub, tmp_path, monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=f"us/yc2: .*{said}"):
        pull("us/yc2", tmp_path / "out")


@pytest.mark.parametrize("code", ["RevisionNotFound", "GatedRepo"])
def test_pull_of_a_revision_or_repository_that_is_shut(hub, tmp_path, code):
    hub.refuse["us/yc2"] = (404 if code == "RevisionNotFound" else 403, code)
    with pytest.raises(UserError, match="no such revision" if code == "RevisionNotFound" else "accept its terms"):
        pull("us/yc2", tmp_path / "out", "v2")


# push

@pytest.fixture
def uploads(monkeypatch):
    """`HfApi` whose repository, branch and upload only note what they were asked; patterns are applied by the library's
    own rules."""
    from huggingface_hub import HfApi
    from huggingface_hub.utils import filter_repo_objects

    noted = []

    def upload_folder(self, *, folder_path, allow_patterns, **rest):
        names = sorted(path.relative_to(folder_path).as_posix() for path in folder_path.rglob("*") if path.is_file())
        noted.append(("upload", list(filter_repo_objects(names, allow_patterns=allow_patterns)), rest))

    monkeypatch.setattr(HfApi, "create_repo", lambda self, name, **rest: noted.append(("create", name, rest)))
    monkeypatch.setattr(HfApi, "create_branch", lambda self, name, **rest: noted.append(("branch", name, rest)))
    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    return noted


def test_push_sends_the_captioner_and_nothing_else(run, uploads):
    said = push(run, "us/yc2", "v2", private=True)
    created, branch, (_, sent, rest) = uploads
    assert created == ("create", "us/yc2", {"private": True, "exist_ok": True})
    assert branch[2]["branch"] == rest["revision"] == "v2" and rest["repo_id"] == "us/yc2"
    assert sent == sorted(SHARED)
    assert "https://huggingface.co/us/yc2, revision v2" in said and "hf_secret" not in said


def test_push_of_a_captioner_alone(run, uploads):
    assert shared_files(run / "best") == ["captioner.json", "model.safetensors", "tokenizer/spiece.model",
                                          "tokenizer/tokenizer.json"]
    assert push(run / "best", "us/yc2") and [step[0] for step in uploads] == ["create", "upload"]


@pytest.mark.parametrize("lost", ["config.yaml", "manifest.json"])
def test_push_refuses_what_is_no_run(run, uploads, lost):
    (run / lost).unlink()
    with pytest.raises(UserError, match=r"is not a run \(config\.yaml, manifest\.json, best/ with"):
        push(run, "us/yc2")
    with pytest.raises(UserError, match="no such folder"):
        push(run / "none", "us/yc2")
    with pytest.raises(UserError, match="is not a run"):
        push(run.parent, "us/yc2")
    assert uploads == []


def test_push_needs_a_token(run, uploads, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UserError, match=r"no token .* log in with 'hf auth login', or set HF_TOKEN"):
        push(run, "us/yc2")
    assert uploads == []


def test_a_dry_push_lists(run, uploads, capsys):
    assert main(["push", str(run), "us/yc2", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in SHARED) and "10 files" in out and uploads == []
    assert not any(name in out.split() for name in PRIVATE)
