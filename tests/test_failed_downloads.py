"""What a failed download leaves in the place of a file is named as such, whoever reads it."""

import pytest

from hicm.errors import UserError
from hicm.files import read_json, read_pickle, read_text, require
from hicm.source import open_source
from hicm.strict import read_yaml

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 123456\n"


@pytest.mark.parametrize(("content", "match"), [
    (POINTER, "found a Git LFS pointer instead of the file; run 'git lfs pull'"),
    (b"<!DOCTYPE html>\n<html></html>", "found a web page instead of the file"),
    (b"\xef\xbb\xbf\r\n  <HTML lang=en>", "found a web page"),
    (b"<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC><html>", "found a web page"),
    (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>", "found a web page"),
    (b"<!-- saved from url --><html>", "found a web page"),
])
def test_what_a_failed_download_leaves_is_named(tmp_path, content, match):
    path = tmp_path / "x.pkl"
    path.write_bytes(content)
    for read in (read_json, read_pickle, read_text, lambda path, what: require(path, what, "get it"),
                 lambda path, what: open_source(path, what, [])):
        with pytest.raises(UserError, match=f"^{path}: speech file: {match}"):
            read(path, "speech file")
    with pytest.raises(UserError, match=f"^{path}: settings file: {match}"):
        read_yaml(path)


@pytest.mark.parametrize("content", [b"", b"versions of <html>", b"<unk> of the\n", b"<?xml version='1.0'?><tt></tt>"])
def test_other_text_is_no_failed_download(tmp_path, content):
    (tmp_path / "x.txt").write_bytes(content)
    assert read_text(tmp_path / "x.txt") == content.decode()
    assert require(tmp_path, "folder", "") == tmp_path


@pytest.mark.parametrize("kind", ["hf:", "openclip:local-dir:"])
def test_models_that_git_did_not_fetch(tmp_path, kind):
    """A clone without Git LFS: configurations are there, weights are pointers."""
    from hicm.encoders import make_encoder

    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    for name in ("tokenizer.json", "open_clip_config.json", "model.safetensors", "pytorch_model.bin"):
        (tmp_path / name).write_bytes(POINTER)
    with pytest.raises(UserError, match="found a Git LFS pointer instead of the file"):
        make_encoder(f"{kind}{tmp_path}", offline=True).encode(["stir it"])


def test_predictions_and_references(tmp_path):
    from hicm.dvc_eval.inputs.detect import sides_of
    from hicm.dvc_eval.inputs.read import read_inputs

    (tmp_path / "x.json").write_bytes(POINTER)
    path, sound = str(tmp_path / "x.json"), {"a": {"duration": 9, "timestamps": [[0, 1]], "sentences": ["stir"]}}
    for what, read in (("predictions", lambda: read_inputs(path, sound, [])), ("file", lambda: sides_of(path)),
                       ("references", lambda: read_inputs({"results": {}}, path, []))):
        with pytest.raises(UserError, match=f"^{path}: {what}: found a Git LFS pointer"):
            read()


def test_a_tokenizer_and_a_t5_that_git_did_not_fetch(tmp_path):
    from hicm.systems.captioner.model import make_t5
    from hicm.systems.captioner.settings import Settings
    from hicm.systems.captioner.vocabulary import load_vocabulary

    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    for name in ("spiece.model", "model.safetensors", "pytorch_model.bin"):
        (tmp_path / name).write_bytes(POINTER)
    with pytest.raises(UserError, match="tokenizer: found a Git LFS pointer"):
        load_vocabulary(str(tmp_path), 10, offline=True)
    with pytest.raises(UserError, match="T5: found a Git LFS pointer"):
        make_t5(Settings(t5=str(tmp_path)), 120, 110, offline=True)
