"""``hicm VERB ...``: the command line is the signatures of `hicm.verbs`."""

import argparse
import contextlib
import errno
import gc
import inspect
import io
import os
import sys
import typing
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hicm import __version__, verbs
from hicm.data.catalogue import message_of
from hicm.errors import UserError

# shown as they are typed; "memory build" is verbs.memory_build
COMMANDS = ("download", "pull", "push",
            "data check", "data chapters", "memory build", "memory show", "memory stats", "memory search", "memory map",
            "memory import", "memory export", "memory merge", "memory diff", "memory ablate", "retrieve", "train",
            "convert", "predict", "evaluate", "compare", "protocols", "selftest", "report", "reproduce", "results",
            "demo")

# a file that is not written atomically (stats.jsonl, the tokenizer) on a full disk or in a folder that is not ours
REFUSED_BY_SYSTEM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}


def dvc_eval(arguments: Sequence[str] | None = None) -> int:
    """``dvc-eval``: the evaluator's commands under a name of their own, ``evaluate`` where none is named."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] not in ("compare", "protocols", "selftest", "--version"):
        words = ["evaluate", *words]
    return main(words)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 a check failed, 2 bad input."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # captions are in any language, terminals may not be
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # silences a warning in worker processes
    warnings.formatwarning = lambda message, *_, **__: f"hicm: warning: {message}\n"
    warnings.filterwarnings("ignore", module=r"(torch|transformers|huggingface_hub|accelerate|tensorboard)\b")
    options = vars(make_parser().parse_args(arguments))
    function = options.pop("function")
    try:
        with _short_run() if function in (verbs.evaluate, verbs.compare) else contextlib.nullcontext():
            return show(function(**options))
    except UserError as error:
        return refuse(message_of(error))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("", "hicm"):
            raise
        return refuse(f"the package {error.name.partition('.')[0]} is not installed; pip install 'hicm[all]'")
    except KeyboardInterrupt:
        say("hicm: interrupted; the same command continues")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in REFUSED_BY_SYSTEM:
            raise
        return refuse(f"{error.filename or 'output'}: {error.strerror}; free space, or choose a folder you may write")


@contextlib.contextmanager
def _short_run() -> Iterator[None]:
    """For what takes a second or two: no search for garbage, of which it makes none."""
    searching = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searching:
            gc.enable()


def show(result: Any) -> int:
    """Print what a verb returned; 1 when a check says it is not ok."""
    if result is not None:
        print(result)
    sys.stdout.flush()  # here, where a closed pipe is still somebody's business
    return 0 if getattr(result, "ok", True) else 1


def refuse(message: str) -> int:
    """Print what is wrong to standard error; returns 2."""
    say(f"hicm: error: {message}")
    return 2


def say(line: str) -> None:
    """Print a line of its own to standard error, below the progress bars that were left open."""
    # Bars there are only where tqdm was imported, which takes a while.
    for bar in list(getattr(getattr(sys.modules.get("tqdm"), "tqdm", None), "_instances", ())):
        bar.close()
    print(line, file=sys.stderr)


def make_parser() -> argparse.ArgumentParser:
    """The parser: one subcommand for every verb."""
    parser = argparse.ArgumentParser(prog="hicm", description="Hierarchical-memory dense video captioning.")
    parser.add_argument("--version", action="version", version=f"hicm {__version__}")
    commands = parser.add_subparsers(metavar="VERB", required=True)
    groups: dict[str, Any] = {}
    for command in COMMANDS:
        function = getattr(verbs, command.replace(" ", "_"))
        *group, name = command.split()
        place = commands
        if group:
            if group[0] not in groups:
                grouped = commands.add_parser(group[0], help=f"commands on {group[0]}")
                groups[group[0]] = grouped.add_subparsers(metavar="VERB", required=True)
            place = groups[group[0]]
        text = inspect.getdoc(function).replace("%", "%%")
        sub = place.add_parser(name, help=text.split(";")[0].split(":")[0].rstrip(".").lower(), description=text,
                               formatter_class=_Help)
        _add_arguments(sub, function)
        sub.set_defaults(function=function)
    return parser


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults where there is one to show."""

    def _get_help_string(self, action: argparse.Action) -> str:
        silent = isinstance(action.default, bool) or action.default in (None, "", [])
        return action.help if silent else super()._get_help_string(action)


def _add_arguments(parser: argparse.ArgumentParser, function: Callable[..., Any]) -> None:
    """A positional argument for each positional parameter, an option for each keyword."""
    for name, parameter in inspect.signature(function).parameters.items():
        kind, text = typing.get_args(parameter.annotation)  # Annotated[kind, text]
        several = typing.get_origin(kind) is not None  # Sequence[str]
        required = parameter.default is inspect.Parameter.empty
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            count = {} if not several else {"nargs": "+"} if required else {"nargs": "*", "default": []}
            parser.add_argument(name, help=text, metavar=name.upper(), **count)
            continue
        flag = "--" + name.rstrip("_").replace("_", "-")
        if kind is bool:
            parser.add_argument(flag, dest=name, action="store_true", help=text)
        elif name == "set_":
            parser.add_argument(flag, dest=name, action="append", default=[], metavar="KEY=VALUE", help=text)
        elif several:
            parser.add_argument(flag, dest=name, nargs="+", default=[], help=text)
        else:
            parser.add_argument(flag, dest=name, type=kind, default=parameter.default, help=text,
                                metavar=name.rstrip("_").upper())


if __name__ == "__main__":
    sys.exit(main())
