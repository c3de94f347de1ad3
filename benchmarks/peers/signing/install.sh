#!/bin/sh
# Installs the peers that benchmarks/signing.py compares with, beside this file, where Git ignores them.
set -e
cd "$(dirname "$0")"
python3 -m venv .venv
.venv/bin/pip install -q -r requirements.txt
if command -v npm >/dev/null; then
    npm install --no-audit --no-fund --no-package-lock --silent
else
    echo "npm is not installed: passkit-generator is left out" >&2
fi
