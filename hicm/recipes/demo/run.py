"""The demo: data, memory, two captioners, scores, report.  Every stage is also a command."""

from pathlib import Path

from hicm.config import load_config
from hicm.errors import UserError
from hicm.memory.show import show_memory
from hicm.recipes.demo.dataset import make_dataset
from hicm.report import report
from hicm.stages.build_memory import build_memory
from hicm.stages.check import check_data
from hicm.stages.evaluate import evaluate_run
from hicm.stages.predict import predict
from hicm.stages.train import train

SYSTEMS = {"none": ["retrieval.search=none"], "descend": ["retrieval.search=descend"], "recall": ["system=recall"]}


def run_demo(folder: Path, seed: int = 0) -> Path:
    """Run all stages on a made-up data set with three systems; returns the report page.

    A captioner without memory, one that descends the memory, and the recall system, which quotes it without training.

    The same seed gives the same data and the same training.  Running it again continues an interrupted demo.
    """
    settings = make_dataset(folder / "data", seed=seed)
    where = [f"memory.path={folder / 'bank'}", f"train.seed={seed}"]
    check = check_data(load_config(settings, where), deep=True)
    print(check)
    if not check.ok:
        raise UserError(f"{settings}: the made-up data does not pass the data check; this is a bug, please report it")

    bank = build_memory(load_config(settings, where))
    print(show_memory(bank, depth=3, children=2))

    runs = []
    for name, changes in SYSTEMS.items():
        print(f"\n{name}: {', '.join(changes)}")
        run = train(load_config(settings, [*where, *changes]), settings.stem, folder / "runs" / name)
        predict(run)
        print(evaluate_run(run, bootstrap=1000))
        runs.append(run)
    return report(runs, folder / "report")
