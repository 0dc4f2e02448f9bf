#!/usr/bin/env bash
# Pre-train on VidChapters-7M: check, training, prediction, scores, report; run again to continue.
# Usage: [PROCESSES=8] bash scripts/pretrain_vidchapters.sh [--set key=value ...]      (data: see data/README.md)
# From HowTo100M's weights: --set captioner.init=presave/runs/pretrain_htm-xxxxxxxx/last
source "$(dirname "$0")/common.sh"
use_venv
pipeline_without_memory "put VidChapters-7M where data/README.md says" configs/pretrain_vidchapters.yaml "$@"
