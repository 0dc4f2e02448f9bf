"""The demo: data, memory, systems, captions, scores, report.  Every stage is also a command."""

from importlib.util import find_spec
from pathlib import Path

from hicm.config import Config, load_config
from hicm.data.samples import open_samples
from hicm.errors import UserError
from hicm.memory.show import show_memory
from hicm.recipes.demo.dataset import make_dataset, write_parallel_settings
from hicm.recipes.demo.film import write_film
from hicm.report import report
from hicm.stages.build_memory import build_memory
from hicm.stages.caption import caption_files
from hicm.stages.check import check_data
from hicm.stages.evaluate import evaluate_run
from hicm.stages.predict import predict
from hicm.stages.train import train
from hicm.stages.video_captioner import VideoCaptioner

CAPTIONER = {"none": ["retrieval.search=none"], "descend": ["retrieval.search=descend"]}
RECALL = {"recall": ["system=recall"]}
FILMED = {"captioner": "descend", "parallel": "parallel"}  # by demo: the run that captions a video file


def run_demo(folder: Path, seed: int = 0, system: str = "captioner") -> Path:
    """Run all stages on a made-up data set with several systems; returns the report page.

    ``captioner``: a captioner without memory, one that descends the memory, and the recall system, which quotes it
    without training.  ``parallel``: the system that finds all events at once, the recall system, and the captions that
    each of them gives to events of others.  One of the systems also captions a video file, in which every frame shows
    its features as grey blocks.

    The same seed gives the same data and the same training.  Running it again continues an interrupted demo.
    Raises UserError for another ``system``, or when the folder holds something else.
    """
    if system not in FILMED:
        raise UserError(f"demo --system {system}: expected {' or '.join(FILMED)}")
    settings = make_dataset(folder / "data", seed=seed)
    where = [f"memory.path={folder / 'bank'}", f"train.seed={seed}"]
    check = check_data(load_config(settings, where), deep=True)
    print(check)
    if not check.ok:
        raise UserError(f"{folder}: the data check above fails; does the folder hold anything but a demo? Choose "
                        "another --out")

    bank = build_memory(load_config(settings, where))
    print(show_memory(bank, depth=3, children=2))

    if system == "captioner":
        runs = [_run(settings, where, folder, name, changes) for name, changes in (CAPTIONER | RECALL).items()]
        filmed, out = settings, folder / "report"
    else:
        filmed = write_parallel_settings(settings)
        runs = [_run(filmed, where, folder, system, []),
                *(_run(settings, where, folder, name, changes) for name, changes in RECALL.items())]
        out = folder / f"report_{system}"
        [truth] = load_config(settings).data.annotations[load_config(settings).data.report]
        _caption_events(runs[1], str(runs[0]))
        for run in runs:
            _caption_events(run, truth)
    if find_spec("av") is not None:
        print(f"\n{_caption_a_video(folder, load_config(filmed, where), folder / 'runs' / FILMED[system])}")
    return report(runs, out)


def _run(settings: Path, where: list[str], folder: Path, name: str, changes: list[str]) -> Path:
    """Train, predict and evaluate one system; returns its run folder."""
    print(f"\n{name}: {', '.join(changes) or settings}")
    run = train(load_config(settings, [*where, *changes]), settings.stem, folder / "runs" / name)
    predict(run)
    print(evaluate_run(run, bootstrap=1000))
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
