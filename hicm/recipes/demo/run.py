"""The demo: data, memory, two captioners, scores, report.  Every stage is also a command."""

from importlib.util import find_spec
from pathlib import Path

from hicm.config import Config, load_config
from hicm.data.samples import open_samples
from hicm.errors import UserError
from hicm.memory.show import show_memory
from hicm.recipes.demo.dataset import make_dataset
from hicm.recipes.demo.film import write_film
from hicm.report import report
from hicm.stages.build_memory import build_memory
from hicm.stages.caption import caption_files
from hicm.stages.check import check_data
from hicm.stages.evaluate import evaluate_run
from hicm.stages.predict import predict
from hicm.stages.train import train
from hicm.stages.video_captioner import VideoCaptioner

SYSTEMS = {"none": ["retrieval.search=none"], "descend": ["retrieval.search=descend"], "recall": ["system=recall"]}
FILMED = "descend"  # the system that captions a video file


def run_demo(folder: Path, seed: int = 0) -> Path:
    """Run all stages on a made-up data set with three systems; returns the report page.

    A captioner without memory, one that descends the memory, and the recall system, which quotes it without training.
    One of them also captions a video file, in which every frame shows its features as grey blocks.

    The same seed gives the same data and the same training.  Running it again continues an interrupted demo.
    """
    settings = make_dataset(folder / "data", seed=seed)
    where = [f"memory.path={folder / 'bank'}", f"train.seed={seed}"]
    check = check_data(load_config(settings, where), deep=True)
    print(check)
    if not check.ok:
        raise UserError(f"{folder}: the data check above fails; does the folder hold anything but a demo? Choose "
                        "another --out")

    bank = build_memory(load_config(settings, where))
    print(show_memory(bank, depth=3, children=2))

    runs = []
    for name, changes in SYSTEMS.items():
        print(f"\n{name}: {', '.join(changes)}")
        run = train(load_config(settings, [*where, *changes]), settings.stem, folder / "runs" / name)
        predict(run)
        print(evaluate_run(run, bootstrap=1000))
        runs.append(run)
    if find_spec("av") is not None:
        print(f"\n{_caption_a_video(folder, load_config(settings, where), folder / 'runs' / FILMED)}")
    return report(runs, folder / "report")


def _caption_a_video(folder: Path, config: Config, run: Path) -> str:
    """Write a video file that shows the features of a reported video, and caption it as one's own; returns the text."""
    sample = open_samples(config.data, config.data.report)[0]
    film = write_film(folder / "video" / f"{sample.id}.mp4", sample.rows)
    encoder, out = f"blocks:{sample.rows.shape[1]}", folder / "captions"
    captioner = VideoCaptioner(str(run), encoder=encoder, speech=config.data.speech, cache=folder / "video")
    caption_files([film], captioner, out, overwrite=True)
    return (f"hicm caption {film} --model {run} --encoder {encoder} --speech {config.data.speech} --out {out}\n"
            f"{(out / f'{sample.id}.txt').read_text(encoding='utf-8')}")
