"""Trains the cells, and tells whether what lies in a folder was made as the specification says."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from hicm.config import Config, changes, digest
from hicm.data.samples import SplitSamples
from hicm.decisive import prediction_settings, training_settings
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.locks import holding
from hicm.provenance import Origin
from hicm.recipes.memory_reads.spec import Cell, Spec
from hicm.stages.build_memory import build_memory
from hicm.stages.origins import needs_bank, training_origin, training_samples
from hicm.stages.run_folder import compare_run, read_manifest
from hicm.stages.train import train
from hicm.systems.base import Learner, find_system

ABOUT, SECONDS, RUN = "cell.json", "seconds.json", "run"


class Trainer:
    """The cells of a specification in the folder ``out``."""

    def __init__(self, spec: Spec, out: Path) -> None:
        self.spec, self.out = spec, out
        self._samples: dict[str, dict[str, SplitSamples]] = {}

    def folder(self, cell: Cell, seed: int) -> Path:
        """The folder of a cell and seed; the run is in it."""
        return self.out / cell.name / f"seed_{seed}"

    def config(self, cell: Cell, seed: int) -> Config:
        """The settings of a cell, with a bank below ``out`` unless they name one."""
        config = self.spec.config(cell, seed)
        if config.memory.path or not needs_bank(config):
            return config
        name = digest([changes(config.memory), changes(config.summary), config.data.holdout, config.data.holdout_seed])
        return replace(config, memory=replace(config.memory, path=str(self.out / "banks" / name)))

    def origin(self, config: Config) -> Origin:
        """What decides the training of a cell, and how it predicts by default; its memory is built if need be.

        Raises UserError when an input is missing.
        """
        if needs_bank(config):
            with holding(self.out / ".banks.lock", "bench_memory_reads", wait=True):  # another may build the same one
                build_memory(config)
        return Origin(_settings(config), training_origin(config, self._read(config)).inputs)

    def claim(self, folder: Path, origin: Origin) -> None:
        """Claim a cell's folder for what ``origin`` describes; UserError when it belongs to something else."""
        path = folder / ABOUT
        if not path.exists():
            write_json(path, {"identity": origin.identity, "decided_by": origin.to_json()})
        elif changed := origin.differences(_decided_by(path)):
            raise _made_otherwise(folder, changed)

    def check_settings(self, cell: Cell, seed: int) -> None:
        """UserError when a cell's folder was made with other settings; its inputs need not be there."""
        folder = self.folder(cell, seed)
        if (folder / ABOUT).exists():
            found = _decided_by(folder / ABOUT)
            inputs = found.get("inputs", {}) if isinstance(found, dict) else {}
            if changed := Origin(_settings(self.spec.config(cell, seed)), inputs).differences(found):
                raise _made_otherwise(folder, changed)

    def train(self, config: Config, folder: Path) -> tuple[Path, float]:
        """The run of a cell, trained or continued if it is not finished, and the seconds that took in all."""
        run = folder / RUN
        if not self._is_finished(config, run):
            began = time.monotonic()
            try:
                train(config, folder.parent.name, run)
            finally:
                write_json(folder / SECONDS, self._seconds(folder) + time.monotonic() - began)
        return run, self._seconds(folder)

    def _read(self, config: Config) -> dict[str, SplitSamples]:
        selects = issubclass(find_system(config.system), Learner) and config.train.evaluates
        splits = [config.data.select] if selects else []
        key = f"{config.data} {splits}"
        if key not in self._samples:
            self._samples[key] = training_samples(config, *splits)
        return self._samples[key]

    def _is_finished(self, config: Config, run: Path) -> bool:
        if not (run / "manifest.json").exists():
            return False
        manifest = read_manifest(run)
        return "finished" in manifest and not compare_run(run, manifest, config,
                                                          training_origin(config, self._read(config)))

    @staticmethod
    def _seconds(folder: Path) -> float:
        path = folder / SECONDS
        return float(read_json(path, "seconds")) if path.exists() else 0.0


def _settings(config: Config) -> dict[str, Any]:
    """The settings that decide what a run learns, and what it predicts by default."""
    return training_settings(config) | prediction_settings(config)


def _decided_by(path: Path) -> Any:
    about = read_json(path, "description of a cell")
    return about.get("decided_by") if isinstance(about, dict) else None


def _made_otherwise(folder: Path, changed: list[str]) -> UserError:
    return UserError(f"{folder}: was made otherwise ({'; '.join(changed)}); choose another --out, or remove the folder")
