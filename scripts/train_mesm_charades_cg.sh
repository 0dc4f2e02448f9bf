#!/usr/bin/env bash
# Train MESM on Charades-CG: check, training, scores of novel_composition, report, scores of novel_word; run again to continue.
# The best epoch is that on novel_composition; published is another one for novel_word: --set data.select=novel_word.
# Usage: [PROCESSES=8] bash scripts/train_mesm_charades_cg.sh [--set key=value ...]      (data: see data/README.md)
source "$(dirname "$0")/common.sh"
use_venv
check "put the data where data/README.md says" configs/mesm_charades_cg.yaml "$@"
run=$(train configs/mesm_charades_cg.yaml "$@")
score "$run"
score_split novel_word "$run"
