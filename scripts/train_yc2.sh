#!/usr/bin/env bash
# Train on YouCook2: check, memory, training, prediction, scores, report; run again to continue.
# Usage: [PROCESSES=8] bash scripts/train_yc2.sh [--set key=value ...]      (data: hicm download yc2)
source "$(dirname "$0")/common.sh"
use_venv
pipeline "get the data and the weights: hicm download yc2" configs/yc2.yaml "$@"
