#!/usr/bin/env bash
# Train CM2 on ActivityNet Captions: check, memory, training, prediction, scores, report; run again to continue.
# Usage: [PROCESSES=8] bash scripts/train_cm2_anet.sh [--set key=value ...]      (data: see data/README.md)
source "$(dirname "$0")/common.sh"
use_venv
pipeline "put the data where data/README.md says" configs/cm2_anet.yaml "$@"
