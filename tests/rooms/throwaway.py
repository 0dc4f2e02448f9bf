"""A system of another distribution, written to a folder by a test: no file of hicm knows it."""

from pathlib import Path

SETTINGS = '''
from dataclasses import dataclass
from hicm.strict import limited

FILES = ("model.safetensors",)

@dataclass(frozen=True)
class Settings:
    hidden: int = limited(8, 1)  # units
    caption: str = "somebody does something"
'''

SYSTEM = '''
"""One event for each video: where it lies is regressed from the mean frame, what happens is always the same."""
from dataclasses import dataclass
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from hicm.config import load_config
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.systems.base import Learner
from hicm.types import Event, Span

@dataclass
class Batch:
    ids: tuple
    x: torch.Tensor  # [B, D]
    y: torch.Tensor  # [B, 2] centre and length as shares of the duration

    def to(self, device):
        return Batch(self.ids, self.x.to(device), self.y.to(device))

class Net(nn.Sequential):
    def forward(self, batch):
        return ((super().forward(batch.x) - batch.y) ** 2).sum()[None]

class System(Learner):
    losses = ("squares",)

    def __init__(self, config, width, samples=None):
        hidden = config.room.hidden
        self.config, self.width, self.samples, self.size = config, width, samples, len(samples or ())
        self.module = Net(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 2), nn.Sigmoid())

    @classmethod
    def prepare(cls, config, folder, samples):
        return cls(config, samples.width, samples)

    @classmethod
    def load(cls, folder, config):
        system = cls(config, read_json(folder / "throwaway.json")["width"])
        system.module.load_state_dict(load_file(folder / "model.safetensors"))
        return system

    def batches(self, micro):
        for indices in micro:
            samples = [self.samples[row] for _, row in indices]
            spans = [[(e.span.start + e.span.end) / 2 / s.duration, (e.span.end - e.span.start) / s.duration]
                     for s in samples for e in s.events[:1]]
            yield Batch(tuple(s.id for s in samples), torch.stack([torch.tensor(s.rows.mean(0)) for s in samples]),
                        torch.tensor(spans))

    def counts(self, batch):
        return torch.tensor([len(batch.ids)])

    def total(self, sums, counts):
        return (sums / counts).sum()

    def optimiser(self, module, lr):
        layers = list(module.children())
        groups = [{"params": layers[0].parameters(), "scale": 0.1}, {"params": layers[2].parameters()}]
        return torch.optim.SGD(groups, lr)

    @torch.inference_mode()
    def predict(self, samples, device="cpu"):
        if samples.width != self.width:
            raise UserError(f"features are {samples.width} wide, the model reads {self.width}")
        for s in samples:
            mean = torch.tensor(s.rows.mean(0))[None].to(device)
            centre, length = nn.Sequential.forward(self.module.to(device), mean)[0].tolist()
            span = Span(max(0, centre - length / 2) * s.duration, min(1, centre + length / 2) * s.duration)
            yield {s.id: [Event(span, self.config.room.caption)]}

    def save(self, folder, **about):
        write_json(folder / "throwaway.json", {"width": self.width, **about})
        save_file({name: value.contiguous() for name, value in self.module.state_dict().items()},
                  folder / "model.safetensors")
'''


def install(folder: Path) -> None:
    """Make ``folder``, once it is on the import path, a place where a distribution with one system is installed."""
    package, info = folder / "throwaway_room", folder / "throwaway_room-1.0.dist-info"
    for path, text in ((package / "__init__.py", ""), (package / "settings.py", SETTINGS),
                       (package / "system.py", SYSTEM),
                       (info / "METADATA", "Metadata-Version: 2.1\nName: throwaway-room\nVersion: 1.0\n"),
                       (info / "entry_points.txt", "[hicm.systems]\nthrowaway = throwaway_room\n")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
