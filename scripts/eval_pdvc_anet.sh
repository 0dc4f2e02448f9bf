#!/usr/bin/env bash
# Caption and score the reported split of ActivityNet Captions with a trained run of PDVC.
# Usage: bash scripts/eval_pdvc_anet.sh RUN_FOLDER [--set key=value ...]     e.g. --set parallel.decode.caption_weight=0.3
source "$(dirname "$0")/common.sh"
use_venv
[ $# -ge 1 ] || { echo "usage: bash scripts/eval_pdvc_anet.sh presave/runs/pdvc_anet-xxxxxxxx [--set key=value ...]" >&2; exit 2; }
score "$@"
