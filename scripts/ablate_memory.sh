#!/usr/bin/env bash
# What does the memory contribute?  Every search x summariser x level, trained from a settings file or evaluated with
# the captioner of a run: one table with intervals, and a plot.  Run again to continue.
# Usage: bash scripts/ablate_memory.sh CONFIG_OR_RUN [--search none descend] [--levels all top] [--set k=v ...]
source "$(dirname "$0")/common.sh"
use_venv
[ $# -ge 1 ] || { echo "usage: bash scripts/ablate_memory.sh configs/yc2.yaml [--set key=value ...]" >&2; exit 2; }
hicm memory ablate "$@"
