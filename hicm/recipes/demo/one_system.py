"""One system of the demo, in a process of its own: what that process imports is all in here, and not the report."""

from importlib.util import find_spec
from pathlib import Path

from hicm.config import Config, load_config
from hicm.data.samples import open_samples
from hicm.recipes.demo.film import write_film
from hicm.stages.caption import caption_files
from hicm.stages.evaluate import evaluate_run
from hicm.stages.predict import predict
from hicm.stages.train import train
from hicm.stages.video_captioner import VideoCaptioner


def run_system(settings: Path, changes: list[str], folder: Path, name: str, filmed: bool) -> Path:
    """Train, predict and evaluate one system, and with ``filmed`` caption a video file; returns its run folder."""
    config = load_config(settings, changes)
    print(f"\n{name}: {settings}, {', '.join(changes)}")
    run = train(config, settings.stem, folder / "runs" / name)
    predict(run)
    print(evaluate_run(run, bootstrap=1000))
    if filmed and find_spec("av") is not None:
        print(f"\n{caption_a_video(folder, config, run)}")
    return run


def caption_events(run: Path, events: str) -> None:
    """Caption given events, score the captions, and show both commands."""
    print(f"\nhicm predict {run} --events {events}\nhicm evaluate {run} --events {events}")
    predict(run, events=events)
    print(evaluate_run(run, events=events))


def caption_a_video(folder: Path, config: Config, run: Path) -> str:
    """Write a video file that shows the features of a reported video, and caption it as one's own; returns the text."""
    sample = open_samples(config.data, config.data.report)[0]
    film = write_film(folder / "video" / f"{sample.id}.mp4", sample.rows)
    encoder, speech, out = f"blocks:{sample.rows.shape[1]}", config.data.speech or "none", folder / "captions"
    captioner = VideoCaptioner(str(run), encoder=encoder, speech=speech, cache=folder / "video")
    caption_files([film], captioner, out, overwrite=True)
    return (f"hicm caption {film} --model {run} --encoder {encoder} --speech {speech} --out {out}\n"
            f"{(out / f'{sample.id}.txt').read_text(encoding='utf-8')}")
