#!/usr/bin/env bash
# Train on YouCook2 without memory: check, training, prediction, scores, report; run again to continue.
# Usage: [PROCESSES=8] bash scripts/train_vid2seq_yc2.sh [--set key=value ...]      (data: hicm download yc2)
source "$(dirname "$0")/common.sh"
use_venv
pipeline_without_memory "get the data and the weights: hicm download yc2" configs/vid2seq_yc2.yaml "$@"
