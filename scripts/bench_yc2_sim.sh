#!/usr/bin/env bash
# All stages on the real YouCook2 annotations with simulated features: memory, two captioners from scratch (without and
# with memory), scores, report.  CPU only; takes hours.  Run again to continue.
# Usage: bash scripts/bench_yc2_sim.sh ANNOTATIONS_FOLDER SIMULATE_SCRIPT [--set key=value ...]
#   ANNOTATIONS_FOLDER   holds train.json and val.json of YouCook2 (1,333 and 457 videos)
#   SIMULATE_SCRIPT      writes features.h5 and text_embeddings.npz for them (simulate_features.py)
source "$(dirname "$0")/common.sh"
use_venv
[ $# -ge 2 ] || { echo "usage: bash scripts/bench_yc2_sim.sh ANNOTATIONS_FOLDER SIMULATE_SCRIPT [--set k=v]" >&2; exit 2; }
simulated_yc2 "$1" "$2"
shift 2

config=configs/yc2_sim.yaml
hicm data check $config --shallow
hicm memory build $config "$@"
runs=()
for search in none descend; do
    run=$(hicm train $config --set retrieval.search=$search "$@" | tail -n 1)
    hicm predict "$run"
    hicm evaluate "$run" --bootstrap 1000
    runs+=("$run")
done
hicm report "${runs[@]}" --out presave/yc2_sim/report
