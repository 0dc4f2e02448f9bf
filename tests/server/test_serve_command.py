"""The command: what it refuses, what it says, how it ends."""

import re
import signal
import subprocess
import sys

import pytest

from hicm.cli import main
from hicm.server.run import _announce
from hicm.server.settings import Settings


def test_mistakes_are_named(tmp_path, capsys):
    (tmp_path / "speech").mkdir()
    mistakes = {
        ("--port", "99999"): "--port 99999: expected 0 to 65535",
        ("--keep-days", "0"): "--keep-days 0: expected more than 0",
        ("--max-size", "big"): "--max-size big: expected a size such as 500M or 4G",
        ("--window", "0.5"): "--window 0.5: expected 1 second or more, or 0",
        ("--token", "a b"): "--token: expected 8 to 200 ASCII letters",
        ("--speech", str(tmp_path / "speech")): "transcript files cannot be matched to uploads",
        ("--host", "no.such.host.invalid"): "--host no.such.host.invalid --port 0: no address of this machine",
        ("--host", "192.0.2.1"): "--port 0: cannot be used on 192.0.2.1",
    }
    for arguments, message in mistakes.items():
        assert main(["serve", "--port", "0", "--data", str(tmp_path / "data"), *arguments]) == 2
        assert re.search(re.escape(message), capsys.readouterr().err), arguments
    assert not (tmp_path / "data").exists()


def test_what_is_not_installed(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve"]) == 2
    assert "hicm serve needs FastAPI and uvicorn; install them: pip install 'hicm[serve]'" in capsys.readouterr().err


@pytest.mark.parametrize(("settings", "address", "warning"), [
    (Settings(port=1), "http://127.0.0.1:1/", ""),
    (Settings(port=1, host="::1"), "http://[::1]:1/", ""),
    (Settings(port=1, host="192.168.1.2"), "http://192.168.1.2:1/", "everyone who can reach this machine can submit "
                                           "videos and see all jobs, and the connection is not encrypted; require a"),
    (Settings(port=1, host="192.168.1.2", token="secret-word"), "http://192.168.1.2:1/?token=secret-word",
     "everyone who knows the token can"),
])
def test_the_address_is_said_and_who_can_come(settings, address, warning, capsys):
    _announce(settings, browser=False)
    said = capsys.readouterr()
    assert said.out == f"open {address}  (Ctrl-C ends the server; its queue is kept)\n"
    assert warning in said.err and bool(said.err) == bool(warning)


def test_a_bank_that_is_missing_and_a_signal_while_models_load(tmp_path):
    command = [sys.executable, "-m", "hicm", "serve", "--port", "0", "--data", str(tmp_path / "data")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr.readline() == "loading the models ...\n"
        server.send_signal(signal.SIGTERM)
        rest = server.stderr.read()
    assert (server.returncode, rest) == (143, "hicm: interrupted by SIGTERM; the same command continues\n")
    assert not list((tmp_path / "data" / "jobs").iterdir()) and not (tmp_path / "data" / ".lock").exists()
    done = subprocess.run([*command, "--memory", "nowhere"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("loading the models ...\nhicm: error: nowhere/bank.json: memory bank not found")
