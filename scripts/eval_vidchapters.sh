#!/usr/bin/env bash
# Caption and score the reported split of VidChapters-7M with a trained run.
# Usage: bash scripts/eval_vidchapters.sh RUN_FOLDER [--set key=value ...]     e.g. --set captioner.decode.beams=1
source "$(dirname "$0")/common.sh"
use_venv
[ $# -ge 1 ] || { echo "usage: bash scripts/eval_vidchapters.sh presave/runs/pretrain_vidchapters-xxxxxxxx [--set key=value ...]" >&2; exit 2; }
score "$@"
