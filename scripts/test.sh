#!/usr/bin/env bash
# Virtual environment (if absent) and the test suite.  Usage: bash scripts/test.sh [options of pytest]
#   -m java   cross-checks that need a Java runtime    -m slow   tests that take long    -m gpu   tests that need a GPU
source "$(dirname "$0")/common.sh"
setup_venv
ruff check hicm tests scripts examples setup.py
python -m pytest "$@"
