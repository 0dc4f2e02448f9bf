#!/usr/bin/env bash
# Find and score the moments of the reported split of Charades-STA, CLIP and SlowFast features, with a run of MESM.
# Usage: bash scripts/eval_mesm_charades_csf.sh RUN_FOLDER [--set key=value ...]     e.g. --set moments.decode.moments=5
source "$(dirname "$0")/common.sh"
use_venv
[ $# -ge 1 ] || { echo "usage: bash scripts/eval_mesm_charades_csf.sh presave/runs/mesm_charades_csf-xxxxxxxx [--set key=value ...]" >&2; exit 2; }
score "$@"
