#!/usr/bin/env bash
# Pre-train on HowTo100M: check, training; run again to continue.  Prints the run folder, whose last/ holds the weights.
# Usage: [PROCESSES=8] bash scripts/pretrain_htm.sh [--set key=value ...]      (data: see data/README.md)
source "$(dirname "$0")/common.sh"
use_venv
check "put HowTo100M where data/README.md says" configs/pretrain_htm.yaml "$@"
train configs/pretrain_htm.yaml "$@"
