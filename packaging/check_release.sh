#!/usr/bin/env bash
# Build the distributions, check them, and try the wheel in a clean environment: packaging/check_release.sh [PYTHON ...]
# TORCH names the build of PyTorch, as in the Makefile. BUILD is the Python that has build and twine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
torch=${TORCH:-torch}
build=${BUILD:-.venv/bin/python}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$build" -m build --outdir "$work/dist" . >"$work/build.log" || { tail -30 "$work/build.log"; exit 1; }
"$build" -m twine check --strict "$work"/dist/*
tar -tzf "$work"/dist/*.tar.gz >"$work/files"
for file in pyproject.toml README.md LICENSE CHANGELOG.md CITATION.cff src/scif/py.typed; do
    grep -q "^[^/]*/$file$" "$work/files" || { echo "the source distribution lacks $file"; exit 1; }
done

for python in "${@:-python3}"; do
    "$python" -m venv "$work/$python"
    bin="$work/$python/bin"
    # shellcheck disable=SC2086
    "$bin/pip" install --quiet $torch
    "$bin/pip" install --quiet "$work"/dist/*.whl
    (
        cd "$work"
        "$bin/scif" --version
        "$bin/scif" simulate in.h5ad --cells 100 --genes 50
        "$bin/scif" denoise in.h5ad "out-$python.h5ad" --max-epochs 2
        "$bin/python" - "out-$python.h5ad" <<'EOF'
import sys
import anndata
import numpy as np
import scif

cells = anndata.read_h5ad(sys.argv[1])
difference = cells.layers["denoised"].sum(1) - np.asarray(cells.X.sum(1)).ravel()
assert cells.layers["denoised"].shape == (100, 50) and abs(difference).max() < 0.1
print("scif", scif.__version__, "denoises on Python", sys.version.split()[0])
EOF
    )
    "$bin/pip" check
done
