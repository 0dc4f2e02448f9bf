# shellcheck shell=bash
# Sourced by the other scripts: the repository root, and a Python with hicm installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# setup_venv: use .venv; make it first if it does not exist or is older than the pins or the package metadata.
setup_venv() {
    if [ ! .venv/.complete -nt requirements.txt ] || [ ! .venv/.complete -nt pyproject.toml ] ||
        [ ! .venv/.complete -nt setup.py ]; then
        local python=${PYTHON:-python3.11}
        command -v "$python" >/dev/null || python=python3
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
            echo "hicm needs Python 3.11 or newer, found $("$python" --version); set PYTHON=/path/to/python" >&2
            exit 2
        }
        echo "Installing into .venv (PyTorch is several gigabytes; a minute or more) ..."
        "$python" -m venv .venv
        .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
        touch .venv/.complete
    fi
    export PATH="$PWD/.venv/bin:$PATH"
}

# use_venv: use .venv where there is one, else whatever hicm is installed.
use_venv() {
    if [ -f .venv/.complete ]; then export PATH="$PWD/.venv/bin:$PATH"; fi
    command -v hicm >/dev/null || { echo "hicm is not installed; run: bash scripts/quickstart.sh" >&2; exit 2; }
}

# check REMEDY CONFIG [--set key=value ...]: stop and print REMEDY when something is missing.
check() {
    local remedy=$1
    shift
    hicm data check "$@" --shallow || { echo "$1: something is missing or not usable, see above; $remedy" >&2; exit 1; }
}

# train CONFIG [--set key=value ...]: train on PROCESSES GPUs (default 1); prints the run folder.
train() {
    if [ "${PROCESSES:-1}" != 1 ]; then
        accelerate launch --num_processes "$PROCESSES" -m hicm train "$@" | tail -n 1
    else
        hicm train "$@" | tail -n 1
    fi
}

# score RUN [--set key=value ...]: predict and score the reported split, and write the report.
score() {
    local run=$1
    hicm predict "$@"
    hicm evaluate "$run" --bootstrap 1000
    hicm report "$run" --out "$run/report"
}

# score_split SPLIT RUN [--set key=value ...]: predict and score another split.
score_split() {
    local split=$1 run=$2
    shift
    hicm predict "$@" --split "$split"
    hicm evaluate "$run" --split "$split" --bootstrap 1000
}

# pipeline REMEDY CONFIG [--set key=value ...]: every stage in order; run again, each stage is skipped or continued.
pipeline() {
    check "$@"
    shift
    hicm memory build "$@"
    local run
    run=$(train "$@")
    score "$run"
}

# pipeline_without_memory REMEDY CONFIG [--set key=value ...]: the same for a captioner without memory.
pipeline_without_memory() {
    check "$@"
    shift
    local run
    run=$(train "$@")
    score "$run"
}

# simulated_yc2 ANNOTATIONS_FOLDER SIMULATE_SCRIPT: data/yc2_sim from train.json and val.json of the folder, unless there.
simulated_yc2() {
    mkdir -p data/yc2_sim
    cp -n "$1"/{train,val}.json data/yc2_sim/
    [ -f data/yc2_sim/features.h5 ] || python "$2" --annotations data/yc2_sim/{train,val}.json --out data/yc2_sim
}
