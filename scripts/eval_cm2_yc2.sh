#!/usr/bin/env bash
# Caption and score the reported split of YouCook2 with a trained run of CM2.
# Usage: bash scripts/eval_cm2_yc2.sh RUN_FOLDER [--set key=value ...]     e.g. --set parallel.decode.caption_weight=0.3
source "$(dirname "$0")/common.sh"
use_venv
[ $# -ge 1 ] || { echo "usage: bash scripts/eval_cm2_yc2.sh presave/runs/cm2_yc2-xxxxxxxx [--set key=value ...]" >&2; exit 2; }
score "$@"
