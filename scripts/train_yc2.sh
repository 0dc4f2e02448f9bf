#!/usr/bin/env bash
# Train on YouCook2: check, memory, training, prediction, scores, report; run again to continue.
# Usage: [PROCESSES=8] bash scripts/train_yc2.sh [--set key=value ...]      (data: see data/README.md)
source "$(dirname "$0")/common.sh"
use_venv
pipeline configs/yc2.yaml "$@"
