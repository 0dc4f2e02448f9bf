#!/usr/bin/env bash
# The system parallel on the real YouCook2 annotations with simulated features: without a memory (PDVC), with the
# captions nearest to each window (CM2), and with the tree of summaries, two seeds each; beside them the best constant
# prediction and the system recall.  CPU only; takes hours.  Run again to continue.
# Usage: bash scripts/bench_parallel_yc2_sim.sh ANNOTATIONS_FOLDER SIMULATE_SCRIPT [--set key=value ...]
#   ANNOTATIONS_FOLDER   holds train.json and val.json of YouCook2 (1,333 and 457 videos)
#   SIMULATE_SCRIPT      writes features.h5 and text_embeddings.npz for them (simulate_features.py)
source "$(dirname "$0")/common.sh"
use_venv
[ $# -ge 2 ] || { echo "usage: bash scripts/bench_parallel_yc2_sim.sh ANNOTATIONS_FOLDER SIMULATE_SCRIPT [--set k=v]" >&2; exit 2; }
simulated_yc2 "$1" "$2"
shift 2

config=configs/parallel_yc2_sim.yaml out=presave/parallel_yc2_sim
hicm data check $config --shallow
hicm memory build $config

# floors
mkdir -p $out
python scripts/constant_events.py $config --out $out/predictions_constant.json
hicm evaluate $out/predictions_constant.json data/yc2_sim/val.json --protocol activitynet-2018 --bootstrap 1000 \
    --out $out/metrics_constant.json
recalls=()
for metric in CIDEr soda_c; do  # recall chooses its settings on the training videos by one metric
    run=$(train $config --set system=recall --set train.select_on=$metric)
    hicm predict "$run"
    hicm evaluate "$run" --bootstrap 1000
    recalls+=("recall, chosen by $metric=$run/predictions_val.json")
done

# all systems with the first seed, then with the second
none="" flat="" descend=""
for seed in 1 2; do
    for search in none flat descend; do
        run=$(train $config --set retrieval.search=$search --set train.seed=$seed "$@")
        hicm predict "$run"
        hicm evaluate "$run" --bootstrap 1000
        declare "$search=${!search:+${!search},}$run/predictions_val.json"
    done
done

python scripts/tabulate_runs.py data/yc2_sim/val.json "best constant=$out/predictions_constant.json" \
    "${recalls[@]}" "PDVC (no memory)=$none" "CM2 (flat)=$flat" "CM2 with the tree (descend)=$descend" \
    | tee $out/table.md
