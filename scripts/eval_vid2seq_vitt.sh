#!/usr/bin/env bash
# Caption and score the reported split of ViTT with a trained run without memory.
# Usage: bash scripts/eval_vid2seq_vitt.sh RUN_FOLDER [--set key=value ...]     e.g. --set captioner.decode.beams=1
source "$(dirname "$0")/common.sh"
use_venv
[ $# -ge 1 ] || { echo "usage: bash scripts/eval_vid2seq_vitt.sh presave/runs/vid2seq_vitt-xxxxxxxx [--set key=value ...]" >&2; exit 2; }
score "$@"
