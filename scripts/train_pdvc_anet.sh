#!/usr/bin/env bash
# Train PDVC on ActivityNet Captions: check, training, prediction, scores, report; run again to continue.
# Usage: [PROCESSES=8] bash scripts/train_pdvc_anet.sh [--set key=value ...]      (data: see data/README.md)
source "$(dirname "$0")/common.sh"
use_venv
pipeline_without_memory "put the data where data/README.md says" configs/pdvc_anet.yaml "$@"
