#!/usr/bin/env bash
# Train MESM on TACoS: check, training, prediction, scores, report; run again to continue.
# Usage: [PROCESSES=8] bash scripts/train_mesm_tacos.sh [--set key=value ...]      (data: see data/README.md)
source "$(dirname "$0")/common.sh"
use_venv
pipeline_without_memory "put the data where data/README.md says" configs/mesm_tacos.yaml "$@"
