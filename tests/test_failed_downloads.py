"""What a failed download leaves in the place of a file is named as such, whoever reads it."""

import pytest

from hicm.errors import UserError
from hicm.files import read_json, read_pickle, read_text, require

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
    for read in (read_json, read_pickle, read_text, lambda path, what: require(path, what, "get it")):
        with pytest.raises(UserError, match=f"^{path}: speech file: {match}"):
            read(path, "speech file")


@pytest.mark.parametrize("content", [b"", b"versions of <html>", b"<unk> of the\n", b"<?xml version='1.0'?><tt></tt>"])
def test_other_text_is_no_failed_download(tmp_path, content):
    (tmp_path / "x.txt").write_bytes(content)
    assert read_text(tmp_path / "x.txt") == content.decode()
    assert require(tmp_path, "folder", "") == tmp_path
