"""Runs the grid: banks, then every cell, then the table.  Running it again continues it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hicm.config import Config, load_config, save_config
from hicm.data.annotations import split_references
from hicm.dvc_eval import evaluate
from hicm.dvc_eval.results.score import Result
from hicm.errors import UserError
from hicm.files import require
from hicm.memory.bank import read_bank_json
from hicm.recipes.ablation.grid import Cell, make_grid, slug
from hicm.recipes.ablation.table import write_table
from hicm.rooms import memory_need
from hicm.stages.build_memory import build_memory
from hicm.stages.predict import predict
from hicm.stages.train import train

OWN = "own"  # instead of a summariser: the existing bank of the settings


@dataclass(frozen=True)
class Ablation:
    """What is varied and how it is scored."""

    searches: tuple[str, ...]
    summarisers: tuple[str, ...] = ()  # empty: medoid, centroid and that of the settings; or OWN
    levels: tuple[str, ...] = ("all", "1", "top")
    metrics: tuple[str, ...] = ("CIDEr", "METEOR", "soda_c")
    samples: int = 1000  # bootstrap and randomisation samples
    seed: int = 0


def run_ablation(source: str, out: Path | None, ablation: Ablation, overrides: Sequence[str] = (),
                 dry: bool = False) -> Path | str:
    """Train every cell of a settings file, or evaluate the captioner of a run folder in each; returns the table's path.

    Writes to ``out``: ``banks/``, one folder per cell, and ``ablation.md``, ``.json`` and ``.png``.  With ``dry`` only
    the banks are built and the cells are listed.  Raises the UserError of a cell that fails; finished cells are kept.
    """
    run = source if Path(source).is_dir() else ""
    settings_file = str(require(Path(run, "config.yaml"), "run", "give a folder that 'hicm train' wrote")) if run \
        else source
    config = load_config(settings_file, overrides)
    if memory_need(config) == "bank":
        raise UserError(f"{source}: system {config.system} reads the bank itself, not what retrieval.search recalls; "
                        "there is nothing to vary")
    if run and config.retrieval.search == "none" and set(ablation.searches) - {"none"}:
        raise UserError(f"{run}: this captioner was trained without a memory and cannot read one; give a run with a "
                        "memory, or a settings file to train the grid")
    out = out or (Path(run) if run else Path(f"presave/{config.data.name}")) / "ablation"
    banks = {summariser: config.bank if summariser == OWN else _bank(settings_file, out, summariser, overrides)
             for summariser in _summarisers(config, ablation.summarisers)} if _reads(ablation) else {}
    cells = make_grid(ablation.searches, ablation.levels, {summariser: len(read_bank_json(bank)["levels"])
                                                           for summariser, bank in banks.items()})
    if dry:
        how = f"evaluate {run} in" if run else "train"
        return "\n".join([f"would {how} {len(cells)} cells in {out}", *(f"  {cell.name}" for cell in cells)])
    for number, cell in enumerate(cells, start=1):
        print(f"\ncell {number} of {len(cells)}: {cell.name}")
        _predict(settings_file, out / cell.name, [*overrides, *_settings(cell, banks)], run)
    results = {cell: _score(config, out / cell.name, ablation) for cell in cells}
    return write_table(results, out, ablation.metrics, ablation.samples, ablation.seed,
                       f"the captioner of {run}" if run else f"a captioner trained for each cell ({source})")


def _reads(ablation: Ablation) -> bool:
    return bool(set(ablation.searches) - {"none", "zero"})


def _summarisers(config: Config, asked: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(asked or ["medoid", "centroid", config.memory.summariser]))


def _bank(settings_file: str, out: Path, summariser: str, overrides: Sequence[str]) -> Path:
    place = [f"memory.path={out / 'banks' / slug(summariser)}", f"memory.summariser={summariser}"]
    return build_memory(load_config(settings_file, [*overrides, *place]))


def _settings(cell: Cell, banks: dict[str, Path]) -> list[str]:
    bank = [f"memory.path={banks[cell.summariser]}"] if cell.summariser else []
    if cell.summariser not in ("", OWN):
        bank.append(f"memory.summariser={cell.summariser}")
    return [*bank, *cell.overrides]


def _predict(settings_file: str, folder: Path, overrides: list[str], run: str) -> None:
    settings = load_config(settings_file, overrides)
    path = folder / f"predictions_{settings.data.report}.json"
    if _is_same(folder, settings) and path.exists():
        return
    if run:
        save_config(settings, folder / "config.yaml")
        predict(Path(run), out=path, overrides=overrides)
    else:
        train(settings, Path(settings_file).stem, folder)
        predict(folder)


def _is_same(folder: Path, settings: Config) -> bool:
    """Whether the folder was started with these settings; UserError when it was started with others."""
    path = folder / "config.yaml"
    if path.exists() and load_config(path) != settings:
        raise UserError(f"{folder}: was made with other settings; remove it, or choose another --out")
    return path.exists()


def _score(config: Config, folder: Path, ablation: Ablation) -> Result:
    path = folder / f"predictions_{config.data.report}.json"
    return evaluate(path, split_references(config.data, config.data.report), config.evaluate.protocol,
                    metrics=list(ablation.metrics), bootstrap=ablation.samples, seed=ablation.seed, progress=True)
