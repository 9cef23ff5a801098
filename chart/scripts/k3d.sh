#!/usr/bin/env bash
# A mesh in a k3d cluster on this machine: k3d.sh deploy | undeploy | redeploy | stop | start
set -euo pipefail
# shellcheck source=chart/scripts/steps.sh
. "$(dirname "$0")/steps.sh"
SECRET_FILE=$STATE_DIR/$CLUSTER.formation-secret
# Where the cluster's nodes listen for the API; k3d maps it to API_PORT of 127.0.0.1.
API_NODE_PORT=30081

status_is_good() { in_cluster exec "$RELEASE-0" -- peatnode status >/dev/null 2>&1; }

show_status() {
    local good=0
    wait_until 60 status_is_good || good=1
    in_cluster exec "$RELEASE-0" -- peatnode status || true
    [ "$good" -eq 0 ] || fail "$RELEASE-0 is not healthy: kubectl --context k3d-$CLUSTER -n $NAMESPACE logs $RELEASE-0"
    say "API: http://127.0.0.1:$API_PORT/"
}

deploy() {
    require_tools docker k3d kubectl helm
    build_image
    create_cluster -p "127.0.0.1:$API_PORT:$API_NODE_PORT@server:0:direct"
    import_image
    install_secret "$SECRET_FILE"
    install_chart --set "api.type=NodePort" --set "api.nodePort=$API_NODE_PORT"
    show_status
}

redeploy() {
    require_tools docker k3d kubectl
    cluster_exists || fail "there is no cluster $CLUSTER: make deploy-k3d"
    build_image
    import_image
    in_cluster rollout restart "statefulset/$RELEASE"
    wait_rollout
    show_status
}

undeploy() {
    require_tools docker k3d
    if cluster_exists; then
        k3d cluster delete "$CLUSTER"
    else
        say "there is no cluster $CLUSTER"
    fi
    [ ! -e "$SECRET_FILE" ] || say "the formation secret stays in $SECRET_FILE: with it a new cluster has the same identities"
}

stop() {
    require_tools docker k3d
    k3d cluster stop "$CLUSTER"
}

start() {
    require_tools docker k3d kubectl
    k3d cluster start "$CLUSTER" --wait
    wait_rollout
    show_status
}

case "${1-}" in
    deploy | undeploy | redeploy | stop | start) "$1" ;;
    *) fail "usage: k3d.sh deploy | undeploy | redeploy | stop | start" ;;
esac
