"""The demo: data, memory, systems, captions, scores, report.  Every stage is also a command."""

from functools import partial
from pathlib import Path

from hicm.config import load_config
from hicm.errors import UserError
from hicm.memory.show import show_memory
from hicm.recipes.demo.dataset import make_dataset, write_parallel_settings
from hicm.recipes.demo.one_system import caption_events, run_system
from hicm.recipes.demo.side_by_side import begin_imports, side_by_side
from hicm.report import report
from hicm.stages.build_memory import build_memory
from hicm.stages.check import check_data

# By demo: its runs, by name, with what is set in them.
RUNS: dict[str, dict[str, list[str]]] = {
    "captioner": {"none": ["retrieval.search=none"], "descend": ["retrieval.search=descend"],
                  "recall": ["system=recall"]},
    "parallel": {"parallel": [], "recall": ["system=recall"]},
}
FILMED = {"captioner": "descend", "parallel": "parallel"}  # the run that captions a video file; it takes longest


def run_demo(folder: Path, seed: int = 0, system: str = "captioner") -> Path:
    """Run all stages on a made-up data set with several systems; returns the report page.

    ``captioner``: a captioner without memory, one that descends the memory, and the recall system, which quotes it
    without training.  ``parallel``: the system that finds all events at once, the recall system, and the captions that
    each of them gives to events of others.  One of the systems also captions a video file, in which every frame shows
    its features as grey blocks.

    The same seed gives the same data and the same training; two systems are trained at a time, each on one thread.
    Running it again continues an interrupted demo.  Raises UserError for another ``system``, or when the folder holds
    something else.
    """
    if system not in RUNS:
        raise UserError(f"demo --system {system}: expected {' or '.join(RUNS)}")
    begin_imports()  # `hicm demo` has begun them
    base = make_dataset(folder / "data", seed=seed)
    where = [f"memory.path={folder / 'bank'}", f"train.seed={seed}"]
    check = check_data(load_config(base, where), deep=True)
    print(check)
    if not check.ok:
        raise UserError(f"{folder}: the data check above fails; does the folder hold anything but a demo? Choose "
                        "another --out")

    bank = build_memory(load_config(base, where))
    print(show_memory(bank, depth=3, children=2))

    settings = write_parallel_settings(base) if system == "parallel" else base
    first = FILMED[system]
    print(f"\n{', '.join(RUNS[system])}: two at a time; the progress is that of {first}")
    names = sorted(RUNS[system], key=lambda name: name != first)
    made = dict(zip(names, side_by_side([partial(
        run_system, base if name == "recall" else settings, [*where, *RUNS[system][name]], folder, name, name == first)
        for name in names]), strict=True))
    runs = [made[name] for name in RUNS[system]]
    if system == "captioner":
        return report(runs, folder / "report")
    [truth] = load_config(base).data.annotations[load_config(base).data.report]
    caption_events(runs[1], str(runs[0]))
    for run in runs:
        caption_events(run, truth)
    return report(runs, folder / f"report_{system}")
