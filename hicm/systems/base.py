"""What a system is: the protocol that stages and the training loop know, and nothing of captions or T5.

A room ``hicm/systems/<name>/`` (or a package of another distribution, see `hicm.rooms`) defines in ``system.py`` a
class ``System``: a `Learner`, which is trained by the loop, or a `Chooser`, which only chooses its settings.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from hicm.config import Config
from hicm.data.samples import Samples, SplitSamples
from hicm.errors import UserError
from hicm.rooms import room_module
from hicm.types import Event

Device = torch.device | str
# What is predicted, by video id: events in the order of generation, or what else `Task.to_json` of the task takes.
Events = dict[str, list[Any]]
Score = Callable[[Mapping[str, list[Event]]], float]  # of events of some training videos, higher is better


class System(ABC):
    """A way to find and describe events."""

    task: ClassVar[str] = "dvc"  # key of hicm.tasks: what its predictions are, and who scores them
    longest: float = math.inf  # seconds of video that it takes at once; `hicm caption` cuts longer videos
    needs_sentences: ClassVar[bool] = False  # finds the moments of the sentences in `Sample.queries` only
    captions_given: ClassVar[bool] = False  # captions the events that samples are given, if they are (`Sample.given`)

    @classmethod
    @abstractmethod
    def prepare(cls, config: Config, folder: Path, samples: SplitSamples) -> Self:
        """A system that is to be trained on ``samples``; ``folder`` is its run folder.

        Samples come with ``recalled`` where the room reads tokens (`hicm.rooms`); the bank is ``config.bank``.
        All random generators are seeded before this call.  Raises UserError when settings and data do not fit.
        """

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, config: Config) -> Self:
        """The system that `save` wrote to ``folder``, ready to predict under ``config``.

        Raises UserError when a file is missing or damaged, or ``config`` asks for another model than the saved one.
        """

    @classmethod
    def untrained(cls, config: Config) -> Self:
        """The system under the settings as they are, for use without a run folder; the bank is ``config.bank``.

        Raises UserError where the system has to be trained.
        """
        raise UserError(f"system {config.system}: has to be trained; give its run folder (--model)")

    @abstractmethod
    def predict(self, samples: Samples, device: Device = "cpu") -> Iterator[Events]:
        """The events of all ``samples``, in any order: one finished batch of videos after the other.

        Batches depend on the videos that are left only, so that an interrupted prediction continues as it began.
        A system that `captions_given` gives each event of `Sample.given` a caption: as many events, in that order, with
        those spans.  Either all of the samples have given events or none.
        Raises UserError when the samples do not fit the model.
        """

    def prediction_batches(self, samples: Samples) -> list[list[int]]:
        """The rows of ``samples`` in the batches that `predict` takes, in its order: several processes share them out.

        By default a row each, for systems whose predictions do not depend on the batch.
        """
        return [[row] for row in range(len(samples))]

    @property
    def about(self) -> dict[str, Any]:
        """What predictions say of how they are made beyond settings and inputs, such as a service that is asked."""
        return {}

    def outcomes(self, video: str) -> dict[str, int]:
        """How the captions of a video that was predicted came about, by kind; {}: there is but one way."""
        return {}

    def quotes(self, video: str) -> Sequence[Event]:
        """The recalled captions from which those of a video that was predicted were written; empty: there are none."""
        return ()

    @abstractmethod
    def save(self, folder: Path, **about: Any) -> None:
        """Write the model with its description ``<system>.json`` to ``folder``; ``about`` goes into the description."""


class Learner(System):
    """A system that gradient descent trains: what `hicm.training.loop` asks of it."""

    module: nn.Module  # forward(batch) -> float [n]: sums over tokens of its n losses
    losses: tuple[str, ...]  # their names
    size: int  # training samples

    @abstractmethod
    def batches(self, micro: list[list[tuple[int, int]]]) -> Iterable[Any]:
        """One batch (with ``.to(device)`` and ``.ids``) per list of (epoch, row)."""

    @abstractmethod
    def counts(self, batch: Any) -> Tensor:
        """int64 [n]: tokens in each sum."""

    @abstractmethod
    def total(self, sums: Tensor, counts: Tensor) -> Tensor:
        """The scalar to minimise."""

    def optimiser(self, module: nn.Module, lr: float) -> torch.optim.Optimizer | None:
        """An optimiser of its own; None: the loop's Adam over all parameters.

        The schedule gives every group the rate times the group's ``scale`` (1 where it has none).
        """
        return None

    def lengths(self) -> list[int]:
        """How long each training sample is, in tokens or rows, to pad less (``train.by_length``).

        Raises UserError where the system does not know.
        """
        raise UserError("train.by_length: this system does not know the lengths of its samples; set it to false")

    def groups(self) -> list[int] | None:
        """The number of a group for each training sample; batches hold samples of different groups where possible.

        None: there are no groups.
        """
        return None

    def watched(self, samples: Samples, device: Device = "cpu") -> dict[str, float]:
        """Numbers beside the scores of predictions that the log of a training is to show, of the selecting split."""
        return {}

    def after_step(self) -> None:
        """Called after every optimiser step."""


class Chooser(System):
    """A system without weights of its own: a few settings are chosen on the training samples."""

    settings: Any = None  # the chosen `Settings` of the room, which the run's settings file then holds; None: as asked

    @abstractmethod
    def choose(self, score: Score) -> list[dict[str, Any]]:
        """Try settings, keep the best ones in this object; returns what was tried, each with its ``score``."""


def longest_first(lengths: Sequence[float], size: int) -> list[list[int]]:
    """The rows of ``lengths`` in batches of ``size``, in falling order: less padding.

    >>> longest_first([3, 1, 5], 2)
    [[2, 0], [1]]
    """
    rows = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    return [rows[start:start + size] for start in range(0, len(rows), size)]


def find_system(name: str) -> type[System]:
    """The class of a system.  Raises UserError when there is none of that name."""
    found = getattr(room_module(name, "system"), "System", None)
    if not (isinstance(found, type) and issubclass(found, System)):
        raise UserError(f"system: {name}: its system.py defines no class System(hicm.systems.base.System)")
    return found


def refuse_other_model(system: str, saved: Any, asked: Any, names: tuple[str, ...], where: str | Path) -> None:
    """UserError for the first of the settings ``names``, fixed by a model's weights, that is set differently."""
    for name in names:
        if getattr(asked, name) != getattr(saved, name):
            raise UserError(f"{where}: was trained with {system}.{name}={getattr(saved, name)!r}, found "
                            f"{getattr(asked, name)!r}; leave the setting out, or train again")
