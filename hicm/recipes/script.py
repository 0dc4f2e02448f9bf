"""How the benchmark scripts run: plain warnings, one line for an error, an exit status."""

import sys
import warnings
from collections.abc import Callable

from hicm.errors import UserError
from hicm.interrupts import Interrupted
from hicm.quiet import quiet_libraries


def run_script(name: str, work: Callable[[], None]) -> int:
    """The exit status of ``work``: 0, 2 for bad input, 128 + n after signal n.  Messages begin with ``name``."""
    warnings.formatwarning = lambda message, *_, **__: f"{name}: warning: {message}\n"
    quiet_libraries()
    try:
        work()
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except Interrupted as error:
        print(f"{name}: interrupted; run the same command again to continue", file=sys.stderr)
        return 128 + error.number
    return 0
