#!/usr/bin/env bash
# Build the memory bank of a settings file, measure it and show its top levels.  Run again, a killed build continues.
# Usage: bash scripts/build_memory.sh CONFIG [--set k=v ...] [--source SPLIT ...] [--dry-run]
source "$(dirname "$0")/common.sh"
use_venv
[ $# -ge 1 ] || { echo "usage: bash scripts/build_memory.sh configs/yc2.yaml [--set key=value ...]" >&2; exit 2; }
case " $* " in *" --dry-run "*) exec hicm memory build "$@" ;; esac
bank=$(hicm memory build "$@" | tail -n 1)
hicm memory stats "$bank"
hicm memory show "$bank"
