#!/usr/bin/env bash
# Make the virtual environment in which MAGIC runs: it needs numpy < 2 and pandas < 2.1, and its licence (GPL) keeps it out of ours.
# Usage: make_magic_env.sh [DIR]; the benchmark looks in $SCIF_MAGIC_ENV, by default /tmp/scif-magic-venv.
set -euo pipefail
dir="${1:-${SCIF_MAGIC_ENV:-/tmp/scif-magic-venv}}"
python="${PYTHON:-python3.11}"
[ -x "$dir/bin/python" ] || "$python" -m venv "$dir"
"$dir/bin/pip" install --quiet "numpy<2" "pandas<2.1" "scipy<1.14" magic-impute
"$dir/bin/python" -c "import importlib.metadata as m, magic; print('magic-impute', m.version('magic-impute'))"
