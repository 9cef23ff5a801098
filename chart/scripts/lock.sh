#!/usr/bin/env bash
# Renews .ci/requirements.lock (what a node needs) and .ci/build.lock (what builds it), with the hashes of all files of
# each version, so that one lock serves both architectures.
set -euo pipefail
cd "$(dirname "$0")/../.."

if command -v uv >/dev/null 2>&1; then
    uv=uv
else
    # A temporary environment, so that neither the system's nor the project's gets a tool that only this needs.
    tools=$(mktemp -d)
    trap 'rm -rf "$tools"' EXIT
    python3 -m venv "$tools"
    "$tools/bin/pip" install -q uv
    uv=$tools/bin/uv
fi

compile() {
    "$uv" pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --upgrade \
        --python-version 3.12 --custom-compile-command "make lock" "$@"
}

compile setup.cfg --output-file .ci/requirements.lock
sed -n 's/^requires = \["\(.*\)"\]$/\1/p' pyproject.toml | compile - --output-file .ci/build.lock
