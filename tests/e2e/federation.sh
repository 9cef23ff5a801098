#!/usr/bin/env bash
# Two k3d clusters on one network, joined by gateways, end to end. Needs docker, k3d, kubectl and helm; leaves nothing behind.
# KEEP=1 keeps the clusters.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
NETWORK=peat-federation-$$
ALPHA=peat-alpha-$$
BRAVO=peat-bravo-$$
NAMESPACE=mesh-test
REPLICAS=2
NODE_PORT=31204
STATE_DIR=$(mktemp -d)
# shellcheck source=chart/scripts/steps.sh
. "$HERE/../../chart/scripts/steps.sh"
# shellcheck source=tests/e2e/checks.sh
. "$HERE/checks.sh"
# shellcheck source=tests/e2e/pods.sh
. "$HERE/pods.sh"
SECRET_FILE=$STATE_DIR/formation-secret

# in_alpha COMMAND..., in_bravo COMMAND...: with that cluster as CLUSTER.
in_alpha() { local CLUSTER=$ALPHA; "$@"; }
in_bravo() { local CLUSTER=$BRAVO; "$@"; }

clean_up() {
    local status=$?
    if [ "$status" -ne 0 ]; then
        in_alpha show_cluster
        in_bravo show_cluster
    fi
    if [ -n "${KEEP-}" ]; then
        say "kept: clusters $ALPHA and $BRAVO, network $NETWORK, the secret in $STATE_DIR"
        return
    fi
    k3d cluster delete "$ALPHA" >/dev/null 2>&1 || true
    k3d cluster delete "$BRAVO" >/dev/null 2>&1 || true
    docker network rm "$NETWORK" >/dev/null 2>&1 || true
    rm -rf "$STATE_DIR"
}

server_address() {
    docker inspect "k3d-$CLUSTER-server-0" --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
}

prepare() {
    create_cluster --network "$NETWORK"
    import_image
    install_secret "$SECRET_FILE"
    restrict_namespace
}

# federate NAME OTHER-NAME OTHER-ADDRESS
federate() {
    install_chart --set minReadySeconds=0 \
        --set federation.enabled=true --set "federation.clusterName=$1" --set "federation.nodePort=$NODE_PORT" \
        --set "federation.remoteGateways={$RELEASE-0.$2@$3:$NODE_PORT}"
}

# packets_from ADDRESS -I|-D: drop what comes from there, or no longer. Before connection tracking, so that it holds at once.
packets_from() { docker exec "k3d-$CLUSTER-server-0" iptables -t raw "$2" PREROUTING -p udp -s "$1" -j DROP; }

cut_off() {
    in_alpha packets_from "$BRAVO_ADDRESS" -I
    in_bravo packets_from "$ALPHA_ADDRESS" -I
}

heal() {
    in_alpha packets_from "$BRAVO_ADDRESS" -D
    in_bravo packets_from "$ALPHA_ADDRESS" -D
}

is_cut_off() { in_alpha is_apart "$RELEASE-0" "$RELEASE-0.bravo"; }

# check_crossing ID: a document written on the last pod of each side is read on the last pod of the other.
check_crossing() {
    in_alpha put "$RELEASE-1" crossing "alpha-$1" '{"from":"alpha"}'
    in_bravo put "$RELEASE-1" crossing "bravo-$1" '{"from":"bravo"}'
    in_bravo wait_until 60 shows "$RELEASE-1" crossing "alpha-$1" "d['from'] == 'alpha'" ||
        fail "what alpha wrote ($1) did not reach bravo"
    in_alpha wait_until 60 shows "$RELEASE-1" crossing "bravo-$1" "d['from'] == 'bravo'" ||
        fail "what bravo wrote ($1) did not reach alpha"
    ok "$1: a document written in one cluster is read in the other, both ways"
}

check_cut_and_healed() {
    cut_off
    wait_until 120 is_cut_off || fail "the gateway did not notice that the other cluster is out of reach"
    in_alpha put "$RELEASE-1" crossing alpha-apart '{"from":"alpha"}'
    in_bravo put "$RELEASE-1" crossing bravo-apart '{"from":"bravo"}'
    in_bravo lacks "$RELEASE-1" crossing alpha-apart || fail "the clusters were not cut off"
    heal
    in_bravo wait_until 120 shows "$RELEASE-1" crossing alpha-apart True || fail "bravo did not catch up after the cut"
    in_alpha wait_until 120 shows "$RELEASE-1" crossing bravo-apart True || fail "alpha did not catch up after the cut"
    ok "cut off, both sides went on writing; healed, both have everything"
}

require_tools docker k3d kubectl helm
trap clean_up EXIT
build_image
docker network create "$NETWORK" >/dev/null
in_alpha prepare
in_bravo prepare
ALPHA_ADDRESS=$(in_alpha server_address)
BRAVO_ADDRESS=$(in_bravo server_address)
in_alpha federate alpha bravo "$BRAVO_ADDRESS"
in_bravo federate bravo alpha "$ALPHA_ADDRESS"

mapfile -t PODS < <(pods "$REPLICAS")
in_alpha check_health "${PODS[@]}"
in_bravo check_health "${PODS[@]}"
in_alpha wait_until 60 sees "$RELEASE-0" "$RELEASE-0.bravo" || fail "alpha's gateway is not connected to bravo's"
in_bravo wait_until 60 sees "$RELEASE-0" "$RELEASE-0.alpha" || fail "bravo's gateway is not connected to alpha's"
ok "the gateways are connected"
check_crossing first
check_cut_and_healed
check_crossing again
for side in in_alpha in_bravo; do
    "$side" check_no_restarts "${PODS[@]}"
    "$side" check_no_errors "${PODS[@]}"
    "$side" check_workers "${PODS[@]}"
done
say "PASS: two clusters"
