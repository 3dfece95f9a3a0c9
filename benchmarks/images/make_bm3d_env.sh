#!/usr/bin/env bash
# Make the virtual environment in which BM3D runs: its wheel is for non-commercial use only, which keeps it out of ours.
# Usage: make_bm3d_env.sh [DIR]; the benchmark looks in $SCIF_BM3D_ENV, by default /tmp/scif-bm3d-venv.
set -euo pipefail
dir="${1:-${SCIF_BM3D_ENV:-/tmp/scif-bm3d-venv}}"
python="${PYTHON:-python3.11}"
[ -x "$dir/bin/python" ] || "$python" -m venv "$dir"
"$dir/bin/pip" install --quiet "numpy<2" bm3d  # it asks for any numpy, but calls a function that version 2 removed
"$dir/bin/python" -c "import importlib.metadata as m, bm3d; print('bm3d', m.version('bm3d'))"
