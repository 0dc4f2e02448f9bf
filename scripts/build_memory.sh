#!/usr/bin/env bash
# Build the memory bank of a settings file and show its top.  Usage: bash scripts/build_memory.sh CONFIG [--set k=v ...]
source "$(dirname "$0")/common.sh"
use_venv
[ $# -ge 1 ] || { echo "usage: bash scripts/build_memory.sh configs/yc2.yaml [--set key=value ...]" >&2; exit 2; }
bank=$(hicm memory build "$@" | tail -n 1)
hicm memory show "$bank"
