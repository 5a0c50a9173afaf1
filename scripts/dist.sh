#!/usr/bin/env bash
# Makes the wheel and the sdist in dist/, and tries each in a new environment: doctor, and the model that comes with it.
# PYTHON has the package 'build'. TORCH, if set, is a folder with the dependencies, which are then not installed.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
rm -rf dist build/lib
"$python" -m build --outdir dist .
for file in dist/*.whl dist/*.tar.gz; do
    place=$(mktemp -d)
    "$python" -m venv "$place/venv"
    if [ -n "${TORCH:-}" ]; then
        echo "$TORCH" > "$("$place/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch.pth"
        "$place/venv/bin/pip" install --quiet --no-deps "$file"
    else
        "$place/venv/bin/pip" install --quiet --constraint constraints.txt "$file"
    fi
    bin=$(realpath "$place/venv/bin")
    (cd "$place" && "$bin/inrkit" doctor && "$bin/inrkit" sample faces -n 4 --out new &&
        "$bin/inrkit" export new/0000.inr html -o face.html && "$bin/inrkit" render new/0000.inr -o face.png)
    rm -r "$place"
    echo "$file works"
done
