"""A copy of the checkout's scripts in which programs are stand-ins: each writes down how it was called."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

RECORD = r"""#!/bin/bash
{ printf '%s' "${0##*/}"; printf '\t%s' "$@"; echo; } >> "$CALLS"
"""
STAND_IN = RECORD + r"""
if [ "${0##*/}" = accelerate ]; then while [ "$1" != hicm ]; do shift; done; shift; fi
[ "$FAIL" = "$1" ] && exit 1
case "$1" in
    memory) [ "$2" = build ] && echo "encoding" && echo "presave/yc2/bank" ;;
    train) echo "epoch 1: CIDEr 0.1"; echo "presave/runs/a run-12345678" ;;
esac
exit 0
"""


class Sandbox:
    """A copy of the scripts with stand-ins for every program that would do something."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder / "check out", folder / "calls"
        shutil.copytree(ROOT / "scripts", self.folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        (self.folder / "requirements.txt").write_text("numpy\n")
        for name in ("hicm", "accelerate", "ruff", "mypy", "python"):
            self.program(self.folder / ".venv" / "bin" / name, STAND_IN)
        (self.folder / ".venv" / ".complete").touch()
        os.utime(self.folder / "requirements.txt", (0, 0))

    def program(self, path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def run(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        """Run a script from outside the checkout; its calls are in `calls` afterwards."""
        self.log.unlink(missing_ok=True)
        return subprocess.run(["bash", str(self.folder / "scripts" / script), *arguments], capture_output=True,
                              text=True, cwd=self.folder.parent, timeout=20,
                              env={"PATH": "/usr/bin:/bin", "CALLS": str(self.log), "FAIL": "", **environment})

    @property
    def calls(self) -> list[list[str]]:
        """Every call of a stand-in: program and arguments."""
        return [line.split("\t") for line in self.log.read_text().splitlines()] if self.log.exists() else []
