"""A plan for very many videos: work, storage and hours of every stage, as Markdown tables.

    python scripts/plan_scaling.py [--videos 1000000] [--minutes 5] [--gpus 64] [--cores 512] [--option value ...]

FLOPs are counted on the models' code (ViT-L/14 of open_clip, T5-base of transformers), without weights.  Speeds are
options: those of GPUs are assumptions, to be replaced by what yours reach; those of processors were measured on two
virtual CPUs (docs/scaling.md, docs/own_videos.md), that of reading the memory with 300,000 captions: --bank does not
change it, as the time hardly depends on their number.  "hours on all": on all GPUs or cores that a stage can
use, among which it is taken to divide evenly; some stages run on one GPU, core or machine only.
"""

import argparse
from dataclasses import dataclass

HOUR = 3600.0
MACHINE = 64  # cores of one machine, for what runs on one only
OPTIONS = {  # name: (default, what it is)
    "videos": (1e6, "how many"),
    "minutes": (5.0, "of a video, on average"),
    "events": (8.0, "of a video, on average"),
    "fps": (1.0, "rows of features per second"),
    "epochs": (10.0, "of training"),
    "speech-tokens": (600.0, "of a video"),
    "caption-tokens": (150.0, "of a video, with its time tokens"),
    "gpus": (64.0, "how many"),
    "cores": (512.0, "processor cores"),
    "gpu-tflops": (300.0, "assumed: bfloat16 TFLOP/s that a GPU reaches in training and encoding"),
    "bank": (1e6, "captions in the memory bank"),
    "decode-speed": (45.0, "seconds of video that a core reads in a second, one frame kept of each"),
    "speech-speed": (100.0, "assumed: seconds of speech that a GPU transcribes in a second"),
    "language-tokens": (10000.0, "assumed: tokens that a GPU reads and writes in a second, questions batched"),
    "question-tokens": (200.0, "of a question for a summary, with its answer"),
    "captions-per-node": (4.4, "as YouCook2's tree has"),
    "generate-tokens": (5000.0, "assumed: new tokens that a GPU writes in a second, 64 videos at once"),
    "cluster-hours": (0.075, "core hours for clustering a million captions"),
    "read-ms": (1.4, "core milliseconds of a read of 10 windows, descending: measured with 300,000 captions"),
    "score-ms": (1.1, "core milliseconds of scoring a video"),
}


@dataclass(frozen=True)
class Stage:
    """``amount``: what is worked on.  ``hours`` of one ``device``, "GPU" or "core", of which it can use ``most``."""

    name: str
    amount: str
    rate: str  # how the hours come about
    hours: float
    device: str
    engine: str
    most: int = 10**9


def flops() -> dict[str, float]:
    """Counted: of an image and a caption through ViT-L/14, and of a training step of T5-base with one video."""
    import logging

    import open_clip
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import T5Config, T5ForConditionalGeneration

    logging.disable(logging.WARNING)  # that the model has no weights
    clip = open_clip.create_model("ViT-L-14", pretrained=None, device="meta")
    with torch.device("meta"):
        t5 = T5ForConditionalGeneration(T5Config(d_model=768, d_kv=64, d_ff=3072, num_heads=12, num_layers=12,
                                                 vocab_size=32200, decoder_start_token_id=0))
        found = {}
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            clip.encode_image(torch.empty(1, 3, 224, 224))
        found["image"] = counter.get_total_flops()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            clip.encode_text(torch.zeros(1, 77, dtype=torch.long))
        found["caption"] = counter.get_total_flops()
        speech, words = torch.zeros(1, 700, dtype=torch.long), torch.zeros(1, 150, dtype=torch.long)  # 100: frames
        with FlopCounterMode(display=False) as counter:
            t5(input_ids=speech, labels=words).loss.backward()
        found["step"] = 2 * counter.get_total_flops()  # captioning, and restoring masked speech
    return found


def stages(o: argparse.Namespace) -> list[Stage]:
    """The stages in the order in which they run."""
    seconds, per = o.videos * o.minutes * 60, flops()
    images, gpu = seconds * o.fps, o.gpu_tflops * 1e12
    nodes = o.bank / (o.captions_per_node - 1)  # the sum over all levels of the tree
    written = o.videos * o.caption_tokens

    def speed(amount: float, flops: float) -> tuple[str, float]:
        return f"{flops / 1e9:,.0f} GFLOP each at {o.gpu_tflops:g} TFLOP/s", amount * flops / gpu / HOUR

    return [
        Stage("read frames", f"{seconds / HOUR:,.0f} h of video", f"{o.decode_speed:g} times real time",
              seconds / o.decode_speed / HOUR, "core", "Ray Data: `hicm features --executor ray`"),
        Stage("encode frames", f"{images:.2g} images", *speed(images, per["image"]), "GPU", "the same workers"),
        Stage("transcribe", f"{seconds / HOUR:,.0f} h of sound", f"{o.speech_speed:g} times real time",
              seconds / o.speech_speed / HOUR, "GPU", "Ray Data: `hicm speech --executor ray`"),
        Stage("encode captions", f"{o.bank:.2g} captions", *speed(o.bank, per["caption"]), "GPU",
              "`hicm memory build`", 1),
        Stage("cluster", f"{o.bank:.2g} captions", f"{o.cluster_hours:g} core hours per million",
              o.bank / 1e6 * o.cluster_hours, "core", "`hicm memory build`", MACHINE),
        Stage("summarise", f"{nodes:.2g} nodes",
              f"{o.question_tokens:g} tokens each, {o.language_tokens:,.0f} a second",
              nodes * o.question_tokens / o.language_tokens / HOUR, "GPU", "vLLM: `memory.summariser=openai:...`"),
        Stage("read the memory", f"{o.videos:.2g} videos", f"{o.read_ms:g} ms each", o.videos * o.read_ms / 1e3 / HOUR,
              "core",
              "`hicm retrieve`, or `hicm train` before its first step", 1),
        Stage("train", f"{o.videos * o.epochs:.2g} videos", *speed(o.videos * o.epochs, per["step"]), "GPU",
              "Accelerate: `accelerate launch -m hicm train`"),
        Stage("caption", f"{written:.2g} tokens", f"{o.generate_tokens:,.0f} tokens a second",
              written / o.generate_tokens / HOUR, "GPU", "`accelerate launch -m hicm predict`"),
        Stage("score", f"{o.videos:.2g} videos", f"{o.score_ms:g} ms each", o.videos * o.score_ms / 1e3 / HOUR, "core",
              "`hicm evaluate`", MACHINE),
    ]


def storage(o: argparse.Namespace) -> list[tuple[str, str, float]]:
    """What is kept: name, sum and GB."""
    rows, captions = o.videos * o.minutes * 60 * o.fps, o.videos * o.events
    return [
        ("features", f"{rows:.2g} rows of 768 in float16", rows * 768 * 2 / 1e9),
        ("transcripts", f"{o.videos:.2g} files of about {o.speech_tokens:g} words with times, 60 bytes each",
         o.videos * o.speech_tokens * 60 / 1e9),
        ("annotations", f"{captions:.2g} events of 100 bytes", captions * 100 / 1e9),
        ("memory bank", f"{o.bank:.2g} captions of 768 in float32, and their nodes",
         o.bank * 768 * 4 * (1 + 1 / (o.captions_per_node - 1)) / 1e9),
        ("recalled vectors", f"{o.videos:.2g} videos of 10 windows of 768 in float32", o.videos * 10 * 768 * 4 / 1e9),
    ]


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, (value, what) in OPTIONS.items():
        parser.add_argument(f"--{name}", type=float, default=value, help=f"{what} (default: %(default)g)")
    asked = parser.parse_args()
    if min(vars(asked).values()) <= 0 or asked.captions_per_node <= 1:
        parser.error("expected positive numbers, and more than one caption per node")
    print("| stage | amount | at | hours on one | hours on all | engine |\n|---|---|---|--:|--:|---|")
    for one in stages(asked):
        together = one.hours / min(asked.gpus if one.device == "GPU" else asked.cores, one.most)
        print(f"| {one.name} | {one.amount} | {one.rate} | {one.hours:,.1f} ({one.device}) | {together:,.2f} "
              f"| {one.engine} |")
    print("\n| kept | how much | GB |\n|---|---|--:|")
    for name, sum_, size in storage(asked):
        print(f"| {name} | {sum_} | {size:,.1f} |")


if __name__ == "__main__":
    main()
