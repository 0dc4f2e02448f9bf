#!/usr/bin/env bash
# Virtual environment (if absent) and the test suite.  Usage: bash scripts/test.sh [options of pytest]
#   -n 0       in one process; otherwise in two, a file at a time, each on one thread
#   -m java    cross-checks that need a Java runtime
#   -m slow    tests that take long
#   -m gpu     tests that need a GPU
#   -m browser tests of the viewer, in Chromium
source "$(dirname "$0")/common.sh"
setup_venv
ruff check hicm tests scripts examples setup.py
mypy hicm
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} python -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
