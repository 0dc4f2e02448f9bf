#!/usr/bin/env bash
# Train CM2 on YouCook2: check, memory, training, prediction, scores, report; run again to continue.
# Usage: [PROCESSES=8] bash scripts/train_cm2_yc2.sh [--set key=value ...]      (data: see data/README.md)
source "$(dirname "$0")/common.sh"
use_venv
pipeline "put CM2's annotations and the features where data/README.md says" configs/cm2_yc2.yaml "$@"
