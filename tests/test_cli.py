"""The command line is the signatures of `hicm.verbs`: same names, same defaults, same help; and how it ends."""

import argparse
import errno
import functools
import inspect
import json
import os
import re
import subprocess
import sys
import typing
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import hicm
from hicm import verbs
from hicm.cli import commands, main, make_parser, summary, verb_name
from hicm.config import load_config
from hicm.data.features import write_features
from hicm.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
VERBS = {name: function for name, function in inspect.getmembers(verbs, inspect.isfunction)
         if function.__module__.startswith("hicm.verbs") and not name.startswith("_")
         and function.__module__ != "hicm.verbs.common"}


def leaves(parser: argparse.ArgumentParser,
           path: tuple[str, ...] = ()) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The parser of every command, by its words."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield " ".join(path), parser
    for group in groups:
        for name, child in group.choices.items():
            yield from leaves(child, (*path, name))


COMMANDS = {verb_name(words): (words.split(), parser) for words, parser in leaves(make_parser())}
each_verb = pytest.mark.parametrize("verb", sorted(VERBS))


@pytest.fixture(autouse=True)
def own_warnings(monkeypatch):
    """`main` sets how warnings look; later tests keep theirs."""
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)


@pytest.fixture
def replace(monkeypatch):
    """Put a function in a verb's place; it has the verb's signature."""
    def replace(verb: str, body) -> list[dict]:
        calls = []

        @functools.wraps(VERBS[verb])
        def stand_in(**given):
            calls.append(given)
            return body()

        monkeypatch.setattr(verbs, verb, stand_in)
        return calls
    return replace


def fail(error: BaseException):
    def body():
        raise error
    return body


# commands and signatures

def test_every_verb_is_a_command_and_vice_versa():
    assert COMMANDS.keys() == VERBS.keys()
    assert {"data_check", "memory_build", "memory_show", "retrieve", "train", "predict", "evaluate", "report",
            "demo"} <= VERBS.keys()


@each_verb
def test_arguments_are_the_parameters(verb):
    _, parser = COMMANDS[verb]
    actions = {action.dest: action for action in parser._actions if action.dest != "help"}
    parameters = inspect.signature(VERBS[verb]).parameters
    assert actions.keys() == parameters.keys() and parser.get_default("function") is VERBS[verb]
    for name, parameter in parameters.items():
        action = actions[name]
        kind, text = typing.get_args(parameter.annotation)
        assert action.help == text and text, name
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            assert action.option_strings == ["--" + name.rstrip("_").replace("_", "-")] and not action.required
            assert parameter.default is not inspect.Parameter.empty, "an option has a default"
        else:
            assert not action.option_strings and action.required == (parameter.default is inspect.Parameter.empty)
        if parameter.default is not inspect.Parameter.empty:
            several = typing.get_origin(kind) is not None
            assert (list(parameter.default) if several else parameter.default) == (action.default or
                                                                                  type(action.default)())
            assert several or isinstance(parameter.default, kind)


@each_verb
def test_without_options_a_verb_gets_its_defaults(verb, replace):
    calls = replace(verb, lambda: None)
    parameters = inspect.signature(VERBS[verb]).parameters
    positional = {name: "x" for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty}
    assert main([*COMMANDS[verb][0], *positional.values()]) == 0
    several = {name for name, parameter in parameters.items()
               if typing.get_origin(typing.get_args(parameter.annotation)[0]) is not None}
    expected = {name: parameter.default for name, parameter in parameters.items()} | positional
    assert calls == [{name: (list(value) if name in several else value) for name, value in expected.items()}]


@each_verb
def test_help_explains_every_argument(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    words, parser = COMMANDS[verb]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    out, err = capsys.readouterr()
    assert ended.value.code == 0 and not err
    shown = " ".join(out.split())
    assert " ".join(inspect.getdoc(VERBS[verb]).split()) in shown
    for action in parser._actions:
        assert all(option in shown for option in action.option_strings)
        assert " ".join(action.help.split()) in shown
        if isinstance(action.default, int) and not isinstance(action.default, bool):
            assert f"(default: {action.default})" in shown


def test_every_verb_is_in_one_group_and_has_a_line_of_its_own(capsys):
    """The rarely needed ones last; every line fits in a terminal of 80 columns."""
    listed = [command for group in verbs.GROUPS.values() for command in group]
    assert len(listed) == len(set(listed)) and set(map(verb_name, listed)) == VERBS.keys()
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    shown = [line for line in lines if line.startswith("  ") and not line.startswith("  -")]
    assert [line[2:].partition("  ")[0] for line in shown] == listed == list(commands())
    assert [title for title in lines if title in verbs.GROUPS] == list(verbs.GROUPS)
    assert all(len(line) <= 80 and len(line.split()) > 2 for line in shown)
    assert list(verbs.GROUPS)[-1] == "Rarely needed"
    assert {"memory diff", "memory merge", "memory export", "memory import", "protocols", "selftest", "bench",
            "results", "data chapters", "data count-words", "data tag-words", "moments protocols",
            "moments selftest"} == set(verbs.GROUPS["Rarely needed"])


@each_verb
def test_the_first_line_of_a_docstring_is_a_phrase(verb):
    first, *rest = inspect.getdoc(VERBS[verb]).splitlines()
    assert first.endswith(".") and not re.search("[.:;]", first[:-1]) and (not rest or not rest[0])


def test_help_of_the_whole_lists_every_verb(capsys):
    for words in ([], ["memory"], ["data"]):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--help"])
        out = capsys.readouterr().out
        assert ended.value.code == 0
        assert all(words != command[:len(words)] or command[len(words)] in out for command, _ in COMMANDS.values())


def test_options_arrive_as_what_they_are(replace):
    show, train, score = (replace(verb, lambda: None) for verb in ("memory_show", "train", "evaluate"))
    assert main(["memory", "show", "bank", "--depth", "3", "--find", "salt"]) == 0
    assert show == [{"bank": "bank", "depth": 3, "children": 3, "width": 100, "find": "salt"}]
    assert main(["train", "--set", "train.lr=1e-4", "c.yaml", "--set", "captioner.decode.beams=1", "--dry-run"]) == 0
    assert train == [{"config": "c.yaml", "out": "", "set_": ["train.lr=1e-4", "captioner.decode.beams=1"],
                      "dry_run": True}]
    assert main(["evaluate", "p.json", "a.json", "b.json", "--metrics", "CIDEr", "F1", "--out", "m.json"]) == 0
    defaults = {"split": "", "events": "", "protocol": [], "rule": [], "bootstrap": 0, "seed": 0, "strict": False,
                "per_video": "", "explain": "", "overwrite": False, "json": False, "markdown": False, "latex": False,
                "format": "", "reference_format": "", "jobs": 0, "check_with_java": False}
    assert score == [{"predictions": "p.json", "references": ["a.json", "b.json"], "out": "m.json",
                      "metrics": ["CIDEr", "F1"], **defaults}]


# how a command ends

def test_a_result_is_printed(replace, capsys):
    replace("train", lambda: Path("presave/runs/x-1"))
    assert main(["train", "c.yaml"]) == 0
    assert capsys.readouterr() == ("presave/runs/x-1\n", "")


def test_a_user_error_is_one_line_and_status_2(replace, capsys):
    replace("train", fail(UserError("c.yaml: train.lr: expected a number\nfound 'x'")))
    assert main(["train", "c.yaml"]) == 2
    assert capsys.readouterr() == ("", "hicm: error: c.yaml: train.lr: expected a number found 'x'\n")


def test_a_name_that_no_file_can_have_is_one_line(capsys):
    for command in (["predict"], ["data", "check"], ["evaluate"], ["report"], ["memory", "show"]):
        assert main([*command, "x" * 300, *(["r.json"] if command == ["evaluate"] else [])]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"hicm: error: {'x' * 300}") and said.count("\n") == 1


@pytest.mark.parametrize(("number", "name"), [(errno.ENOSPC, "run/stats.jsonl"), (errno.EACCES, "run/tokenizer"),
                                              (errno.ENOSPC, None), (errno.ENOTDIR, "file/run")])
def test_a_refusing_file_system_is_one_line_and_status_2(replace, capsys, number, name):
    replace("train", fail(OSError(number, os.strerror(number), name)))
    assert main(["train", "c.yaml"]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith(f"hicm: error: {name or 'output'}: {os.strerror(number)}; ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("error", [ZeroDivisionError(), ValueError("a bug"), FileNotFoundError(errno.ENOENT, "x", "y")])
def test_a_bug_keeps_its_traceback(replace, error):
    replace("train", fail(error))
    with pytest.raises(type(error)):
        main(["train", "c.yaml"])


def test_an_interrupt_says_how_to_go_on(replace, capsys):
    replace("train", fail(KeyboardInterrupt()))
    assert main(["train", "c.yaml"]) == 130
    assert capsys.readouterr().err == "hicm: interrupted; the same command continues\n"


@pytest.mark.parametrize(("arguments", "match"), [
    ([], "required: VERB"), (["trian"], "invalid choice: 'trian' .choose from .*'train'.*; did you mean 'train'.$"),
    (["memory"], "required: VERB"), (["memory", "burn"], "invalid choice: 'burn'"),
    (["memory", "biuld"], "did you mean 'build'.$"),
    (["train"], "required: CONFIG"), (["report"], "required: RUNS"),
    (["train", "c.yaml", "--lr", "1"], "unrecognized arguments: --lr 1; .*settings go behind --set, as in"),
    (["train", "c.yaml", "train.lr=1"], "unrecognized arguments: train.lr=1; .*settings go behind --set"),
    (["memory", "show", "bank", "--depth", "two"], "argument --depth: invalid int value: 'two'")])
def test_a_command_that_is_none_ends_with_status_2(arguments, match, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert ended.value.code == 2 and not out
    assert err.startswith("usage: hicm ")
    assert re.search(match, err)


# as a program

def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "hicm", *arguments], capture_output=True, text=True, cwd=cwd,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_python_m_hicm_is_hicm(tmp_path):
    version = run("--version")
    assert (version.returncode, version.stdout, version.stderr) == (0, f"hicm {hicm.__version__}\n", "")
    broken = run("train", "none.yaml", cwd=tmp_path)
    assert (broken.returncode, broken.stdout) == (2, "")
    assert broken.stderr.startswith("hicm: error: none.yaml: settings file cannot be read (No such file or directory)")
    assert broken.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["protocols"], ["train", "yc2", "--dry-run"]])
def test_what_needs_no_model_loads_none(words):
    code = ("import sys\nfrom hicm.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
            "print({'torch', 'transformers', 'h5py', 'sklearn', 'matplotlib'} & sys.modules.keys(), file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.stdout and done.stderr == "set()\n"


def test_a_reader_that_goes_away_is_no_error():
    """As in `hicm memory show ... | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-m", "hicm", "train", str(CONFIGS[0]), "--dry-run"], stdout=writing,
                          stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


# data check

@pytest.fixture
def data(tmp_path):
    """Settings of a sound data set of two splits of two videos; returns the settings file."""
    videos = {f"video{n:06d}": {"duration": 9.0, "timestamps": [[0, 9]], "sentences": ["stir"]} for n in range(4)}
    for split, ids in (("train", list(videos)[:2]), ("val", list(videos)[2:])):
        (tmp_path / f"{split}.json").write_text(json.dumps({name: videos[name] for name in ids}))
    write_features(tmp_path / "features.h5", {name: np.ones((9, 12), np.float32) for name in videos})
    (tmp_path / "settings.yaml").write_text(
        f"data:\n  annotations: {{train: {tmp_path}/train.json, val: {tmp_path}/val.json}}\n"
        f"  features: {tmp_path}/features.h5\n")
    return tmp_path / "settings.yaml"


@pytest.mark.parametrize("options", [[], ["--shallow"]])
def test_data_check_of_sound_data(data, options, capsys):
    assert main(["data", "check", str(data), *options]) == 0
    out = capsys.readouterr().out
    assert out.startswith("split") and out.endswith("ok: 0 error(s), 0 warning(s)\n")


def test_data_check_of_broken_data_is_status_1(data, capsys):
    write_features(data.parent / "features.h5", {"video000000": np.ones((9, 12), np.float32)})
    assert main(["data", "check", str(data), "--shallow"]) == 1
    out = capsys.readouterr().out
    assert "error: " in out and "not usable: 2 error(s)" in out
    assert main(["data", "check", str(data), "--shallow", "--set", "data.missing_features=skip"]) == 1
    assert "not usable: 1 error(s)" in capsys.readouterr().out, "a split without any features is not skipped"


# dry runs

@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_dry_run_of_training(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", str(path), "--set", "train.lr=1e-4", "--dry-run"]) == 0
    out = capsys.readouterr().out
    config = load_config(path, ["train.lr=1e-4"])
    assert out.startswith(f"would run: train {config.system} -> presave/runs/{path.stem}-<hash>\n\n")
    (tmp_path / "shown.yaml").write_text(out.partition("\n\n")[2])
    assert load_config(tmp_path / "shown.yaml") == config and config.train.lr == 1e-4
    assert [entry.name for entry in tmp_path.iterdir()] == ["shown.yaml"], "nothing was made"


def test_dry_run_of_memory_and_of_prediction(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    memory = ["--set", "memory.path=elsewhere", "--set", "memory.encoder=hashing:12"]
    assert main(["memory", "build", str(data), "--dry-run", *memory]) == 0
    out = capsys.readouterr().out
    assert " captions of train -> elsewhere\nencoder hashing:12\n" in out and "no language model is asked" in out
    (tmp_path / "run" / "last").mkdir(parents=True)
    (tmp_path / "run" / "config.yaml").write_text(data.read_text())
    (tmp_path / "run" / "last" / "captioner.json").write_text("{}")
    assert main(["predict", "run", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("would run: run/last on split val -> run/predictions_val.json\n")
    assert not (tmp_path / "elsewhere" / "bank.json").exists()
    assert not (tmp_path / "run" / "predictions_val.json").exists()


# predictions know their task

def test_predictions_of_another_task_are_not_scored_as_captions(data, tmp_path, capsys):
    content = {"results": {"video000002": [{"sentence": "stir", "timestamp": [0, 9]}]}}
    path, references = tmp_path / "predictions.json", str(data.parent / "val.json")
    for task, said in (("dvc", ""), ("dance", "task 'dance' is not known; expected one of dvc"),
                       ("moments", "not predictions of moments")):
        path.write_text(json.dumps(content | {"task": task, "decided_by": {}}))
        assert main(["evaluate", str(path), references, "--metrics", "F1"]) == (2 if said else 0)
        assert said in capsys.readouterr().err
    path.write_text(json.dumps(content | {"task": "of somebody else's making"}))
    assert main(["evaluate", str(path), references, "--metrics", "F1"]) == 0


# models of the hub

@pytest.mark.parametrize("words", [
    ["predict", "MODEL"], ["evaluate", "MODEL"], ["report", "MODEL"], ["compare", "MODEL", "MODEL"],
    ["push", "MODEL", "them/yc2", "--dry-run"], ["memory", "ablate", "MODEL"],
    ["convert", "MODEL", "settings.yaml", "out"]])
def test_a_model_of_the_hub_stands_for_its_folder(words, data, tmp_path, monkeypatch, capsys):
    """Fetched before, it is not asked for again; the folder holds no model, which each of them says of the folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "presave" / "hub" / "us--yc2@v2"
    folder.mkdir(parents=True)
    (folder / "pulled.json").write_text("{}")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert main(["hub:us/yc2@v2" if word == "MODEL" else word for word in words]) == 2
    out, err = capsys.readouterr()
    assert not out and "presave/hub/us--yc2@v2" in err and err.count("\n") == 1


def test_python_has_the_same_arguments(data, capsys):
    """`hicm train FILE --set k=v --out X --dry-run` is verbs.train(FILE, set_=[k=v], out=X, dry_run=True)."""
    verbs.train(str(data), set_=["train.lr=1e-4"], out="x", dry_run=True)
    said = capsys.readouterr().out
    assert main(["train", str(data), "--set", "train.lr=1e-4", "--out", "x", "--dry-run"]) == 0
    assert capsys.readouterr().out == said and "-> x\n" in said
    assert verbs.data_check(str(data), shallow=True).ok


def test_help_keeps_capitals():
    """A summary may begin with a name."""
    for first in ("METEOR of two files", "Hugging Face models on this machine", "FINCH by hand", "Train a system"):
        def verb() -> None:
            pass

        verb.__doc__ = f"{first}.\n\nMore."
        assert summary(verb) == first


def test_a_warning_is_one_line(monkeypatch, capsys):
    """Names of files may hold line breaks and what a terminal obeys."""
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert warnings.formatwarning("two\nlines\x1b[2J.mp4", UserWarning, "x.py", 1) == (
        "hicm: warning: two lines\\x1b[2J.mp4\n")
