#!/usr/bin/env bash
# Virtual environment (if absent) and the test suite.  Usage: bash scripts/test.sh [options of pytest]
#   -m java    cross-checks that need a Java runtime        -m slow    what takes long        -m gpu    what needs one
source "$(dirname "$0")/common.sh"
setup_venv
ruff check hicm tests scripts examples setup.py
python -m pytest "$@"
