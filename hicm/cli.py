"""``hicm VERB ...``: the command line is the signatures of `hicm.verbs`."""

import argparse
import contextlib
import difflib
import errno
import gc
import inspect
import io
import os
import re
import signal
import sys
import threading
import typing
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from hicm import __version__, ranks, verbs
from hicm.data.catalogue import message_of
from hicm.errors import UserError, printable
from hicm.interrupts import handled
from hicm.quiet import quiet_libraries

# Full disk, no permission: met by files that are not written atomically (stats.jsonl, the tokenizer).
REFUSED_BY_SYSTEM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}


# Programs of their own: what is typed behind their names -> the command of hicm; the first if none is typed.
PROGRAMS = {
    "dvc-eval": {verb: verb for verb in ("evaluate", "compare", "protocols", "selftest")},
    "moment-eval": {verb: f"moments {verb}" for verb in ("evaluate", "compare", "protocols", "selftest")},
}
# Commands that begin anew when they are run again, and end within seconds.
SCORING = (verbs.evaluate, verbs.compare, verbs.moments_evaluate, verbs.moments_compare)


def dvc_eval(arguments: Sequence[str] | None = None) -> int:
    """``dvc-eval``: the evaluator's commands under a name of their own, ``evaluate`` where none is named."""
    return _program("dvc-eval", arguments)


def moment_eval(arguments: Sequence[str] | None = None) -> int:
    """``moment-eval``: the commands of moments under a name of their own, ``evaluate`` where none is named."""
    return _program("moment-eval", arguments)


def _program(name: str, arguments: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] not in (*PROGRAMS[name], "--version"):
        words = [next(iter(PROGRAMS[name])), *words]
    return main(words, name)


def main(arguments: Sequence[str] | None = None, name: str = "hicm") -> int:
    """Run one command; returns the exit status: 0 done, 1 a check failed, 2 bad input, 128 + n ended by signal n.

    ``name``: what the program calls itself.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # captions are in any language, terminals may not be
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # silences a warning in worker processes
    warnings.formatwarning = lambda message, *_, **__: f"{name}: warning: {printable(str(message))}\n"
    quiet_libraries()
    options = vars(make_parser(name).parse_args(arguments))
    function = options.pop("function")
    threading.excepthook = _thread_failed
    try:
        with handled(), _short_run() if function in SCORING else contextlib.nullcontext():
            return show(function(**options))
    except UserError as error:
        return refuse(message_of(error), name) if ranks.reports(error) else 2
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("", "hicm"):
            raise
        return refuse(f"the package {error.name.partition('.')[0]} is not installed; pip install 'hicm[all]'",
                      name)
    except KeyboardInterrupt as error:
        number = getattr(error, "number", signal.SIGINT)
        by = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
        begins_anew = function in (*SCORING, verbs.bench)
        if ranks.reports():
            say(f"{name}: interrupted{by}{'' if begins_anew else '; the same command continues'}")
        return 128 + number
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return refuse(str(UserError(f"{error.filename}: no file can have so long a name; correct it")), name)
        if error.errno not in REFUSED_BY_SYSTEM:
            raise
        return refuse(f"{error.filename or 'output'}: {error.strerror}; free space, or choose a folder you may write",
                      name)


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    """No traceback for what a thread was refused by the system: who waits for the thread reports it in one line."""
    if not (isinstance(failed.exc_value, OSError) and failed.exc_value.errno in REFUSED_BY_SYSTEM):
        threading.__excepthook__(failed)


@contextlib.contextmanager
def _short_run() -> Iterator[None]:
    """Without garbage collection: it costs a command of a second or two time, and finds nothing there."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def show(result: Any) -> int:
    """Print what a verb returned; 1 when a check says it is not ok."""
    if result is not None and ranks.is_first():
        print(result)
    sys.stdout.flush()  # here, where a closed pipe is still caught
    return 0 if getattr(result, "ok", True) else 1


def refuse(message: str, name: str = "hicm") -> int:
    """Print what is wrong to standard error; returns 2."""
    say(f"{name}: error: {message}")
    return 2


def say(line: str) -> None:
    """Print a line to standard error, below progress bars that are still open."""
    # Only if tqdm was imported, which takes a while, can there be bars.
    for bar in list(getattr(getattr(sys.modules.get("tqdm"), "tqdm", None), "_instances", ())):
        bar.close()
    print(line, file=sys.stderr)


def commands() -> dict[str, Callable[..., Any]]:
    """Every command as it is typed, with its verb, in the order of the help."""
    return {command: getattr(verbs, verb_name(command)) for group in verbs.GROUPS.values() for command in group}


def verb_name(command: str) -> str:
    """The function of a command.

    >>> verb_name("data from-elan")
    'data_from_elan'
    """
    return command.replace(" ", "_").replace("-", "_")


def summary(function: Callable[..., Any]) -> str:
    """The first line of a verb's docstring, as it is written: it may begin with a name.

    >>> summary(verbs.train)
    'Train a system'
    """
    return (inspect.getdoc(function) or "").partition("\n")[0].rstrip(".")


def flag(name: str) -> str:
    """The option of a keyword parameter.

    >>> flag("set_"), flag("dry_run")
    ('--set', '--dry-run')
    """
    return "--" + name.rstrip("_").replace("_", "-")


def make_parser(name: str = "hicm") -> argparse.ArgumentParser:
    """The parser: one subcommand for every verb; for one of PROGRAMS, its own only."""
    parser = _Parser(prog=name, usage=f"{name} [-h] [--version] VERB ...", epilog=_overview(),
                                     description="Dense video captioning with a hierarchical memory.",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"{name} {__version__}")
    top = parser.add_subparsers(prog=name, metavar="VERB", required=True, help=argparse.SUPPRESS)
    groups: dict[str, Any] = {}
    known = commands()
    typed = PROGRAMS.get(name, {command: command for command in known})
    for words, command in typed.items():
        function = known[command]
        *group, verb = words.split()
        place, own = top, dict[str, Any]()
        if name in PROGRAMS and words == next(iter(typed)):
            others = ", ".join(f"{name} {one}" for one in list(typed)[1:])
            own = {"prog": name, "epilog": f"Further commands: {others}."}
        if group:
            if group[0] not in groups:
                groups[group[0]] = top.add_parser(group[0]).add_subparsers(metavar="VERB", required=True)
            place = groups[group[0]]
        text = (inspect.getdoc(function) or "").replace("%", "%%")
        sub = place.add_parser(verb, help=summary(function), description=text, formatter_class=_Help, **own)
        _add_arguments(sub, function)
        sub.set_defaults(function=function)
    return parser


class _Parser(argparse.ArgumentParser):
    """Says what to do where a word is none of the command's; words such as -1/2 are values, not options."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._negative_number_matcher = re.compile(r"-\.?\d")

    def error(self, message: str) -> NoReturn:
        """End with status 2: how the command is used, then what is wrong."""
        if message.startswith("unrecognized arguments"):
            settings = "; settings go behind --set, as in --set train.epochs=3" if self.prog.startswith("hicm") else ""
            message += f"; options stand in the --help of the command{settings}"
        elif wrong := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            near = difflib.get_close_matches(wrong[1], re.findall("'(.*?)'", wrong[2]), n=1)
            message += f"; did you mean {near[0]!r}?" if near else ""
        super().error(message)


def _overview() -> str:
    """All commands by group, a line each."""
    found = commands()
    width = max(map(len, found))
    parts = ["\n".join([title, *(f"  {command:<{width}}  {summary(found[command])}" for command in group)])
             for title, group in verbs.GROUPS.items()]
    return "\n\n".join([*parts, "'hicm VERB --help' explains a command."])


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults where there is one to show."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
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
        if kind is bool:
            parser.add_argument(flag(name), dest=name, action="store_true", help=text)
        elif name == "set_":
            parser.add_argument(flag(name), dest=name, action="append", default=[], metavar="KEY=VALUE", help=text)
        elif several:
            parser.add_argument(flag(name), dest=name, nargs="+", action="extend", default=[], help=text,
                                metavar=name.rstrip("_").upper())
        else:
            parser.add_argument(flag(name), dest=name, type=kind, default=parameter.default, help=text,
                                metavar=name.rstrip("_").upper())


if __name__ == "__main__":
    sys.exit(main())
