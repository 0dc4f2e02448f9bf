#!/usr/bin/env bash
# Find and score the moments of both novel splits of Charades-CG, with a run of MESM.
# Usage: bash scripts/eval_mesm_charades_cg.sh RUN_FOLDER [--set key=value ...]     e.g. --set moments.decode.moments=5
source "$(dirname "$0")/common.sh"
use_venv
[ $# -ge 1 ] || { echo "usage: bash scripts/eval_mesm_charades_cg.sh presave/runs/mesm_charades_cg-xxxxxxxx [--set key=value ...]" >&2; exit 2; }
score "$@"
score_split novel_word "$@"
