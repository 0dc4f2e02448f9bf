"""The training log: ``stats.jsonl`` for programs, TensorBoard for people."""

import contextlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from hicm.files import append, atomic


class Log:
    """Appends lines to ``stats.jsonl``; a resumed run first removes lines written after its checkpoint."""

    def __init__(self, folder: Path, lines: int, step: int) -> None:
        """Keeps the first ``lines`` lines of the file; TensorBoard drops everything after ``step``."""
        self.path = folder / "stats.jsonl"
        kept = self.path.read_text(encoding="utf-8").splitlines(keepends=True)[:lines] if self.path.exists() else []
        with atomic(self.path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")
        self.lines = len(kept)
        self.board: SummaryWriter | None = None
        with self._board_or_not():
            self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=step)

    def write(self, step: int, epoch: float, **content: Any) -> None:
        """Append one line with step, epoch and ``content``; numbers also go to TensorBoard."""
        append(self.path, json.dumps({"step": step, "epoch": round(epoch, 4), **content}))
        self.lines += 1
        with self._board_or_not():
            for name, value in content.items():
                values = value if isinstance(value, dict) else {name: value}
                for key, number in values.items():
                    if isinstance(number, int | float) and self.board is not None:
                        self.board.add_scalar(f"{content.get('split', 'train')}/{key}", number, step)

    def close(self) -> None:
        """Flush and close TensorBoard's file."""
        with self._board_or_not():
            if self.board is not None:
                self.board.close()

    @contextlib.contextmanager
    def _board_or_not(self) -> Iterator[None]:
        """Curves are no reason to stop: where TensorBoard cannot write, one line says that they end here."""
        try:
            yield
        except OSError as error:
            self.board = None
            warnings.warn(f"{self.path.parent / 'tensorboard'}: cannot be written ({error.strerror}); its curves end "
                          "here, stats.jsonl goes on", stacklevel=3)
