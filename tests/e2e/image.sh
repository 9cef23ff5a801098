#!/usr/bin/env bash
# Three containers of the image on one network of their own sync by static peers, as locked up as they are in a cluster:
# not root, root file system read-only, no capabilities. Needs docker and the image (IMAGE, by default peatnode:latest).
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=chart/scripts/steps.sh
. "$HERE/../../chart/scripts/steps.sh"
# shellcheck source=tests/e2e/checks.sh
. "$HERE/checks.sh"

require_tools docker
docker image inspect "$IMAGE" >/dev/null 2>&1 || fail "there is no image $IMAGE: make image"

PREFIX=peat-e2e-$$
NODES=(peat-mesh-0 peat-mesh-1 peat-mesh-2)
SECRET=$(new_secret)
MEMORY_LIMIT=${MEMORY_LIMIT:-256m}

on() { docker exec -i "$PREFIX-$1" "${@:2}"; }
logs_of() { docker logs "$PREFIX-$1"; }

start_node() {
    local node=$1 other peers=()
    for other in "${NODES[@]}"; do
        [ "$other" = "$node" ] || peers+=("$other@$other:11204")
    done
    docker run -d --name "$PREFIX-$node" --hostname "$node" --network "$PREFIX" --network-alias "$node" \
        --read-only --cap-drop ALL --security-opt no-new-privileges --memory "$MEMORY_LIMIT" \
        --tmpfs /tmp:mode=1777,size=16m --volume "$PREFIX-$node:/data" \
        -e PEAT_FORMATION_SECRET="$SECRET" -e PEAT_DISCOVERY=static -e PEAT_RUN_DIR=/tmp/run \
        -e PEAT_STATIC_PEERS="$(IFS=,; echo "${peers[*]}")" \
        --health-interval 2s "$IMAGE" >/dev/null
}

clean_up() {
    local status=$? node
    [ "$status" -eq 0 ] || show_logs "${NODES[@]}"
    for node in "${NODES[@]}"; do
        docker rm -f -v "$PREFIX-$node" >/dev/null 2>&1 || true
        docker volume rm "$PREFIX-$node" >/dev/null 2>&1 || true
    done
    docker network rm "$PREFIX" >/dev/null 2>&1 || true
}

docker_says_healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$PREFIX-$1")" = healthy ]; }

check_locked_up() {
    local node
    for node in "${NODES[@]}"; do
        [ "$(on "$node" id -u)" = 10001 ] || fail "$node runs as user $(on "$node" id -u), not as 10001"
        [ "$(on "$node" sh -c '(echo x >/etc/x) 2>/dev/null && echo taken || echo refused')" = refused ] || fail "$node can write to its root file system"
        [ "$(on "$node" cat /proc/1/comm)" = tini ] || fail "process 1 of $node is not tini"
    done
    ok "not root, root file system read-only, tini is process 1"
}

check_restart() {
    local node=peat-mesh-0 before
    before=$(device_id "$node")
    docker stop -t 15 "$PREFIX-$node" >/dev/null
    [ "$(docker inspect --format '{{.State.ExitCode}}' "$PREFIX-$node")" = 0 ] ||
        fail "$node did not stop with status 0"
    put peat-mesh-1 docs while-away '{"written":"while peat-mesh-0 was away"}'
    docker start "$PREFIX-$node" >/dev/null
    check_health "$node"
    [ "$(device_id "$node")" = "$before" ] || fail "the device id of $node changed"
    wait_until 30 shows "$node" docs from-peat-mesh-0 "'writer' in d" || fail "$node lost its document"
    wait_until 60 shows "$node" docs while-away "'written' in d" || fail "$node did not fetch what it had missed"
    ok "stopped with status 0; back with the same device id, its documents, and what it had missed"
}

trap clean_up EXIT
docker network create "$PREFIX" >/dev/null
for node in "${NODES[@]}"; do start_node "$node"; done
check_health "${NODES[@]}"
check_locked_up
check_connected "${NODES[@]}"
check_documents docs "${NODES[@]}"
check_status "${NODES[@]}"
for node in "${NODES[@]}"; do
    wait_until 30 docker_says_healthy "$node" || fail "the HEALTHCHECK of $node fails"
done
ok "the HEALTHCHECK agrees"
check_restart
check_connected "${NODES[@]}"
check_no_errors "${NODES[@]}"
check_workers "${NODES[@]}"
docker stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.CPUPerc}}' "${NODES[@]/#/$PREFIX-}"
say "PASS: the image"
