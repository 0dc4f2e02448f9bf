#!/usr/bin/env bash
# Train on ViTT: check, memory, training, prediction, scores, report; run again to continue.
# Usage: [PROCESSES=8] bash scripts/train_vitt.sh [--set key=value ...]      (data: hicm download vitt)
source "$(dirname "$0")/common.sh"
use_venv
pipeline "get the data and the weights: hicm download vitt" configs/vitt.yaml "$@"
