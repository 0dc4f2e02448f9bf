"""Models that are not here, with a hub that is closed, silent, or answers: one line, and no minutes of retries."""

import importlib.util
import logging
import time

import pytest

from hicm import loading
from hicm.cli import main
from hicm.encoders import make_encoder, make_image_encoder
from hicm.errors import UserError
from hicm.loading import NoModel, using_hub
from hicm.recognisers import make_recogniser
from hicm.stages.each_video import each_video
from hicm.systems.captioner.t5 import read_config
from hicm.systems.captioner.vocabulary import load_vocabulary
from tests.hub_server import serve_hub
from tests.video.videos import write_video

NOWHERE = "http://127.0.0.1:9"  # the port that discards: nothing listens


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    """A hub that cannot be reached, and an empty cache."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", NOWHERE)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for name in ("huggingface_hub.constants.HF_HUB_CACHE", "huggingface_hub.constants.HUGGINGFACE_HUB_CACHE"):
        monkeypatch.setattr(name, str(tmp_path / "hub"), raising=False)
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("waits for a hub that does not answer"))


def ask(kind, offline):
    """Load what is meant by ``kind``."""
    what, _, rest = kind.partition(":")
    if what in ("whisper", "transformers"):
        if what == "whisper":
            pytest.importorskip("faster_whisper", reason="needs faster-whisper (hicm[speech])")
        recogniser = make_recogniser(kind, offline)
        return getattr(recogniser, "_model" if what == "whisper" else "_pipeline")
    if what == "t5":
        return read_config(rest, offline)
    if what == "tokenizer":
        return load_vocabulary(rest, 10, offline)
    return make_encoder(kind, offline).encode(["a"])


MODELS = {"openclip:ViT-L-14/openai": "timm/vit_large_patch14_clip_224.openai", "openclip:hf-hub:laion/x": "laion/x",
          "hf:owner/name": "owner/name", "whisper:small": "Systran/faster-whisper-small",
          "whisper:own/name": "own/name", "transformers:openai/whisper-small": "openai/whisper-small"}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("offline", [True, False])
def test_what_is_wanted_where_it_was_looked_for_and_what_to_do(no_hub, tmp_path, kind, offline, caplog):
    with pytest.raises(NoModel) as refusal:
        ask(kind, offline)
    name, folder = MODELS[kind], f"{tmp_path}/hub/models--{MODELS[kind].replace('/', '--')}"
    why = "offline is on" if offline else f"{NOWHERE} cannot be reached ("
    assert f"{kind}: {name} is not on this machine (looked in {folder}), and {why}" in str(refusal.value)
    assert "load it once with a network, or copy that folder" in str(refusal.value)
    assert not caplog.records, "nothing but this line"


@pytest.mark.parametrize("kind", ["t5:t5-base", "tokenizer:t5-base"])
def test_a_t5_takes_no_longer(no_hub, kind):
    with pytest.raises(UserError, match=rf"t5-base: no .* found in the local cache \({NOWHERE} cannot be reached \("):
        ask(kind, False)


@pytest.mark.parametrize("kind", ["hf:/no/where", "hf:./nowhere", "hf:no/such/folder", "whisper:/no/where",
                                  "transformers:~/x"])
def test_a_path_is_not_looked_for_on_the_hub(no_hub, kind):
    with pytest.raises(NoModel, match=f"cannot be loaded: there is no {kind.partition(':')[2]} on this machine; give"):
        ask(kind, False)


@pytest.mark.parametrize(("kind", "nearest"), [("whisper:smal", "small"), ("whisper:large-v4", "large-v[123]")])
def test_the_nearest_size(no_hub, kind, nearest):
    with pytest.raises(NoModel, match=f"{kind}: no size of Whisper and no folder; the nearest size is {nearest}"):
        ask(kind, False)


def test_an_incomplete_copy_is_said(no_hub, tmp_path):
    (tmp_path / "hub" / "models--owner--name" / "snapshots").mkdir(parents=True)
    with pytest.raises(NoModel, match=r"cannot be loaded \(.*cannot be reached .*models--owner--name may be inc"):
        ask("hf:owner/name", False)


def test_a_hub_that_answers_is_asked(no_hub, monkeypatch):
    with serve_hub({}) as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        with using_hub("owner/name", False) as closed:
            assert closed == ""
        with using_hub("owner/name", True) as closed:
            assert closed == "offline is on"
        assert [asked.method for asked in server.asked] == ["HEAD"]


def test_what_was_set_is_set_again(no_hub):
    from huggingface_hub import constants

    for offline in (True, False):
        with pytest.raises(KeyError), using_hub("owner/name", offline):
            assert constants.HF_HUB_OFFLINE
            {}["x"]
        assert not constants.HF_HUB_OFFLINE and logging.root.manager.disable == 0


def test_a_folder_needs_no_hub(no_hub, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "why_offline", lambda offline: pytest.fail("the hub was asked"))
    with using_hub(str(tmp_path), False) as closed:
        assert closed == ""


def test_a_missing_model_ends_the_work_at_the_first_video(tmp_path):
    """It is no fault of the video, and would be met again at each of the others."""
    seen = []

    def work(video):
        seen.append(video)
        raise NoModel("no model")

    with pytest.raises(NoModel):
        each_video([tmp_path / "a.mp4", tmp_path / "b.mp4"], lambda: work, tmp_path, "captioned")
    assert len(seen) == 1 and not (tmp_path / "failed.jsonl").exists()


@pytest.mark.parametrize("command", [
    ["features", "--encoder", "openclip:ViT-L-14/openai"], ["caption", "--model", "hub:owner/name"],
    ["features", "--encoder", "openclip:ViT-L-15/openai"]])
def test_commands_end_with_one_line(no_hub, tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # for hub: models, as 'hicm download'
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", [0, 1], 2)
    assert main([command[0], "a.mp4", "b.mp4", *command[1:]]) == 2
    lines = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if "error" in line]
    assert len(lines) == 1 and lines[0].strip().startswith("hicm: error: ")
    assert not list(tmp_path.rglob("*failed.jsonl"))


@pytest.mark.parametrize(("command", "says"), [
    (["features", "--encoder", "openclip:ViT-L-15/openai"], "the nearest is ViT-L-14/openai"),
    (["features", "--encoder", "openclip:ViT-L-14/opnai"], "opnai is no file and no weights of ViT-L-14"),
    (["features", "--encoder", "openclip:local-dir:nowhere"], "there is no such folder"),
    (["features", "--encoder", "opnclip:ViT-L-14/openai"], "embeds no images; expected one of"),
    (["speech", "--recogniser", "whisper:bsae"], "no size of Whisper and no folder; the nearest size is base"),
    (["speech", "--recogniser", "whisper:./nowhere"], "there is no ./nowhere on this machine"),
    (["speech", "--recogniser", "transformers:./nowhere"], "there is no ./nowhere on this machine"),
    (["speech", "--recogniser", "wisper:base"], "is no recogniser; expected one of")])
def test_a_wrong_name_is_refused_before_a_video_is_opened(no_hub, tmp_path, monkeypatch, capsys, command, says):
    """Also where no video needs the model, since none has sound."""
    if command[0] == "speech":
        pytest.importorskip("faster_whisper", reason="needs faster-whisper (hicm[speech])")
    monkeypatch.chdir(tmp_path)
    for name in ("av.open", "hicm.video.features.content_digest", "hicm.video.speech.content_digest"):
        monkeypatch.setattr(name, lambda *_, **__: pytest.fail("a video was opened"))
    (tmp_path / "a.mp4").write_bytes(b"x")
    assert main([command[0], "a.mp4", *command[1:]]) == 2
    assert says in capsys.readouterr().err
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [tmp_path / "a.mp4"]


def test_without_faster_whisper(monkeypatch):
    """The way out is named."""
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: None if name == "faster_whisper" else found(
        name, *more))
    with pytest.raises(UserError, match=r"whisper:small needs faster-whisper; install it: pip install 'hicm\[speech\]'"
                                        r", or caption without speech: --no-speech$"):
        make_recogniser("whisper:small")


def test_an_image_encoder_without_network(no_hub):
    import numpy as np

    with pytest.raises(NoModel, match="is not on this machine"):
        make_image_encoder("openclip:ViT-L-14/openai").encode_images([np.zeros((9, 9, 3), np.uint8)])
