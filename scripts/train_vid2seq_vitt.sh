#!/usr/bin/env bash
# Train on ViTT without memory: check, training, prediction, scores, report; run again to continue.
# Usage: [PROCESSES=8] bash scripts/train_vid2seq_vitt.sh [--set key=value ...]      (data: hicm download vitt)
source "$(dirname "$0")/common.sh"
use_venv
pipeline_without_memory "get the data and the weights: hicm download vitt" configs/vid2seq_vitt.yaml "$@"
