#!/usr/bin/env bash
# The container image: image.sh build | sbom
set -euo pipefail
# shellcheck source=chart/scripts/steps.sh
. "$(dirname "$0")/steps.sh"

# A program inside the image lists what the image holds.
sbom() {
    local out=$ROOT/build/sbom.cdx.json
    docker image inspect "$IMAGE" >/dev/null 2>&1 || fail "there is no image $IMAGE: make image"
    mkdir -p "$ROOT/build"
    docker run --rm -i --network none --read-only --entrypoint python "$IMAGE" - "$IMAGE" \
        <"$ROOT/chart/scripts/sbom.py" >"$out"
    say "written: $out"
}

require_tools docker
case "${1-}" in
    build) build_image ;;
    sbom) sbom ;;
    *) fail "usage: image.sh build | sbom" ;;
esac
