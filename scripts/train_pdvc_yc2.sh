#!/usr/bin/env bash
# Train PDVC on YouCook2: check, training, prediction, scores, report; run again to continue.
# Usage: [PROCESSES=8] bash scripts/train_pdvc_yc2.sh [--set key=value ...]      (data: see data/README.md)
source "$(dirname "$0")/common.sh"
use_venv
pipeline_without_memory "put CM2's annotations and the features where data/README.md says" configs/pdvc_yc2.yaml "$@"
