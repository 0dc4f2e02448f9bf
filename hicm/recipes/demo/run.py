"""The demo: data, memory, systems, captions, scores, report.  Every stage is also a command."""

from functools import partial
from importlib.util import find_spec
from pathlib import Path

from hicm.config import Config, load_config
from hicm.data.samples import open_samples
from hicm.errors import UserError
from hicm.memory.show import show_memory
from hicm.recipes.demo.dataset import make_dataset, write_parallel_settings
from hicm.recipes.demo.film import write_film
from hicm.recipes.demo.side_by_side import begin_imports, side_by_side
from hicm.report import report
from hicm.stages.build_memory import build_memory
from hicm.stages.caption import caption_files
from hicm.stages.check import check_data
from hicm.stages.evaluate import evaluate_run
from hicm.stages.predict import predict
from hicm.stages.train import train
from hicm.stages.video_captioner import VideoCaptioner

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
    begin_imports()
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
        _run, base if name == "recall" else settings, [*where, *RUNS[system][name]], folder, name, name == first)
        for name in names]), strict=True))
    runs = [made[name] for name in RUNS[system]]
    if system == "captioner":
        return report(runs, folder / "report")
    [truth] = load_config(base).data.annotations[load_config(base).data.report]
    _caption_events(runs[1], str(runs[0]))
    for run in runs:
        _caption_events(run, truth)
    return report(runs, folder / f"report_{system}")


def _run(settings: Path, changes: list[str], folder: Path, name: str, filmed: bool) -> Path:
    """Train, predict and evaluate one system, and with ``filmed`` caption a video file; returns its run folder."""
    config = load_config(settings, changes)
    print(f"\n{name}: {settings}, {', '.join(changes)}")
    run = train(config, settings.stem, folder / "runs" / name)
    predict(run)
    print(evaluate_run(run, bootstrap=1000))
    if filmed and find_spec("av") is not None:
        print(f"\n{_caption_a_video(folder, config, run)}")
    return run


def _caption_events(run: Path, events: str) -> None:
    """Caption given events, score the captions, and show both commands."""
    print(f"\nhicm predict {run} --events {events}\nhicm evaluate {run} --events {events}")
    predict(run, events=events)
    print(evaluate_run(run, events=events))


def _caption_a_video(folder: Path, config: Config, run: Path) -> str:
    """Write a video file that shows the features of a reported video, and caption it as one's own; returns the text."""
    sample = open_samples(config.data, config.data.report)[0]
    film = write_film(folder / "video" / f"{sample.id}.mp4", sample.rows)
    encoder, speech, out = f"blocks:{sample.rows.shape[1]}", config.data.speech or "none", folder / "captions"
    captioner = VideoCaptioner(str(run), encoder=encoder, speech=speech, cache=folder / "video")
    caption_files([film], captioner, out, overwrite=True)
    return (f"hicm caption {film} --model {run} --encoder {encoder} --speech {speech} --out {out}\n"
            f"{(out / f'{sample.id}.txt').read_text(encoding='utf-8')}")
