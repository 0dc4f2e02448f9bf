#!/usr/bin/env bash
# From a fresh clone to a report: virtual environment, pinned packages, the demo.  Needs only Python 3.11.
# Usage: bash scripts/quickstart.sh [options of 'hicm demo']
source "$(dirname "$0")/common.sh"
setup_venv
hicm demo "$@"
