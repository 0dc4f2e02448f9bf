"""Measure how videos are read: peak memory against length, and speed against decoding every frame.

    python scripts/bench_video.py VIDEO...       compares speed on the given files
    python scripts/bench_video.py --made         also makes videos of two minutes and two hours and measures memory

Each measurement is a process of its own; CPU seconds are those of the process, all threads.
"""

import argparse
import functools
import json
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE, SIZE = 10, (320, 240)  # frames per second, width and height of the made videos


def ours(path: str) -> int:
    """Frames at one per second, as ``hicm caption`` reads them."""
    from hicm.video.reader import VideoReader

    with VideoReader(path) as video:
        return sum(1 for _ in video.frames(1.0))


def every_frame(path: str, convert: bool = True) -> int:
    """The usual loop: every frame decoded, and ``convert`` each of them or only the one per second that is kept."""
    kept, wanted = 0, 0.0
    with av.open(path) as container:
        stream = container.streams.best("video")
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            due = frame.time is not None and frame.time >= wanted
            if convert or due:
                frame.to_ndarray(format="rgb24")
            if due:
                kept, wanted = kept + 1, wanted + 1
    return kept


WAYS = {"ours": ours, "every_frame": every_frame, "decoded_only": functools.partial(every_frame, convert=False)}


def measure(way: str, path: str) -> dict[str, float]:
    """Frames, CPU and wall seconds, and peak memory in MiB of reading one file in a process of its own."""
    found = subprocess.run([sys.executable, __file__, "--child", way, path], check=True, capture_output=True, text=True)
    return json.loads(found.stdout)


def child(way: str, path: str) -> None:
    """One measurement, printed as json."""
    cpu, wall = time.process_time(), time.perf_counter()
    frames = WAYS[way](path)
    print(json.dumps({"frames": frames, "cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall,
                      "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def make_video(path: Path, seconds: int) -> None:
    """A moving pattern with some noise, H.264 with the encoder's default keyframes and B-frames."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 40, (16, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    ramp = np.add.outer(np.arange(SIZE[1]), np.arange(SIZE[0]))[..., None].astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(seconds * RATE):
            picture = (ramp + np.uint8(number // RATE * 7 % 256)) // 2 + noise[number % len(noise)]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def compare_speed(paths: list[str], repeats: int) -> None:
    """Alternating runs; medians, and how many times as fast ours is."""
    print(f"{'file':28} {'seconds':>8} {'ours':>7} {'every frame':>12} {'decoded only':>13}   CPU s; times as fast")
    for path in paths:
        runs = {way: [] for way in WAYS}
        for _ in range(repeats):
            for way in WAYS:
                runs[way].append(measure(way, path))
        cpu = {way: float(np.median([run["cpu"] for run in found])) for way, found in runs.items()}
        print(f"{Path(path).name:28} {runs['ours'][0]['frames']:8} {cpu['ours']:7.2f} {cpu['every_frame']:12.2f} "
              f"{cpu['decoded_only']:13.2f}   {cpu['every_frame'] / cpu['ours']:.1f} and "
              f"{cpu['decoded_only'] / cpu['ours']:.1f}; {runs['ours'][0]['frames'] / cpu['ours']:.0f} x real time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*")
    parser.add_argument("--made", action="store_true", help="make videos of two minutes and two hours")
    parser.add_argument("--repeats", type=int, default=3, help="runs per file and way (default: 3)")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    if options.videos:
        compare_speed(options.videos, options.repeats)
    if options.made:
        with tempfile.TemporaryDirectory() as folder:
            peaks = []
            for name, seconds in (("two minutes", 120), ("two hours", 7200)):
                path = Path(folder) / f"{seconds}.mp4"
                make_video(path, seconds)
                found = measure("ours", str(path))
                peaks.append(found["peak"])
                print(f"{name}: {found['frames']} frames, peak memory {found['peak']:.0f} MiB, "
                      f"{found['cpu']:.1f} CPU seconds ({seconds / found['cpu']:.0f} x real time)")
            print(f"two hours / two minutes: {peaks[1] / peaks[0]:.2f} of the memory")
            compare_speed([str(Path(folder) / "7200.mp4")], 1)


if __name__ == "__main__":
    main()
