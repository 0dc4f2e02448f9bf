"""The demo as a recipe: data, memory, two captioners, scores, report.  Every stage is the one users call."""

from pathlib import Path

from hicm import verbs
from hicm.recipes.demo.dataset import make_dataset
from hicm.errors import UserError


def run_demo(folder: Path, seed: int = 0) -> Path:
    """Run the whole path on a made-up data set, without memory and with it; returns the report page.

    The same seed gives the same data and the same training.  Running again continues what was interrupted.
    """
    config = make_dataset(folder / "data", seed=seed)
    check = verbs.data_check(str(config))
    print(check)
    if not check.ok:
        raise UserError(f"{config}: the made-up data does not pass its own check")

    where = [f"memory.path={folder / 'bank'}", f"train.seed={seed}"]
    bank = verbs.memory_build(str(config), set_=where)
    print(verbs.memory_show(str(bank), depth=3, children=2))

    runs = []
    for search in ("none", "descend"):
        run = str(folder / "runs" / search)
        print(f"\ncaptioner with retrieval.search={search}")
        verbs.train(str(config), out=run, set_=[*where, f"retrieval.search={search}"])
        verbs.predict(run)
        print(verbs.evaluate(run, bootstrap=1000))
        runs.append(run)
    return verbs.report(runs, out=str(folder / "report"))
