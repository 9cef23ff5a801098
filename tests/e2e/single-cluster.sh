#!/usr/bin/env bash
# A mesh in a k3d cluster of its own, end to end. Needs docker, k3d, kubectl and helm; leaves nothing behind.
# KEEP=1 keeps the cluster.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
CLUSTER=peat-test-$$
NAMESPACE=mesh-test
REPLICAS=3
STATE_DIR=$(mktemp -d)
# shellcheck source=chart/scripts/steps.sh
. "$HERE/../../chart/scripts/steps.sh"
# shellcheck source=tests/e2e/checks.sh
. "$HERE/checks.sh"
# shellcheck source=tests/e2e/pods.sh
. "$HERE/pods.sh"

clean_up() {
    local status=$?
    [ "$status" -eq 0 ] || show_cluster
    if [ -n "${KEEP-}" ]; then
        say "kept: cluster $CLUSTER, its secret in $STATE_DIR"
        return
    fi
    k3d cluster delete "$CLUSTER" >/dev/null 2>&1 || true
    rm -rf "$STATE_DIR"
}

# With every pod gone at once no peer can give back what a volume lost.
check_all_deleted() {
    local pod before=()
    for pod in "${PODS[@]}"; do before+=("$(device_id "$pod")"); done
    in_cluster delete pod "${PODS[@]}" --wait
    wait_rollout
    check_health "${PODS[@]}"
    for pod in "${PODS[@]}"; do
        [ "$(device_id "$pod")" = "${before[0]}" ] || fail "the device id of $pod changed after it was deleted"
        before=("${before[@]:1}")
        shows "$pod" docs "from-$pod" "d['writer'] == '$pod'" || fail "$pod lost its document when all pods were deleted"
    done
    check_connected "${PODS[@]}"
    check_status "${PODS[@]}"
    ok "all of ${PODS[*]} were deleted at once: same device ids, documents still there"
}

check_scale() {
    local before
    before=$(uids "${PODS[@]}")
    # By helm, not by kubectl scale: helm 4 would see the replicas as somebody else's afterwards.
    say "scaling to 5"
    REPLICAS=5 install_chart --set minReadySeconds=0
    mapfile -t five < <(pods 5)
    check_health "${five[@]}"
    check_connected "${five[@]}"
    wait_until 60 shows "$RELEASE-4" docs "from-$RELEASE-0" "'writer' in d" || fail "a new pod did not get the documents"
    check_documents scaled "${five[@]}"
    check_status "${five[@]}"
    say "scaling to 3"
    install_chart --set minReadySeconds=0
    in_cluster wait --for=delete "pod/$RELEASE-4" "pod/$RELEASE-3" --timeout=120s
    check_health "${PODS[@]}"
    # Pods that went for good are no alarm, and nobody waits for them.
    check_nobody_absent "${PODS[@]}"
    check_status "${PODS[@]}"
    [[ -n "$before" && "$(uids "${PODS[@]}")" = "$before" ]] || fail "scaling replaced pods that were there before"
    check_no_restarts "${PODS[@]}"
    wait_until 60 shows "$RELEASE-0" scaled "from-$RELEASE-4" "'writer' in d" ||
        fail "the document of a pod that is gone is gone too"
    ok "scaled to 5 and back to 3"
}

start_writer() {
    in_cluster create configmap writer --from-file="$HERE/writer.py" >/dev/null
    in_cluster apply -f - >/dev/null <<MANIFEST
apiVersion: v1
kind: Pod
metadata:
  name: writer
  labels: {peatnode-client: "true"}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 10001, seccompProfile: {type: RuntimeDefault}}
  volumes:
    - name: writer
      configMap: {name: writer}
  containers:
    - name: writer
      image: $IMAGE
      imagePullPolicy: Never
      command: [tini, --, python, /writer/writer.py, "http://$RELEASE-api:8081/api/v1/documents/rolling", /tmp/stop, /dev/termination-log]
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
      volumeMounts:
        - {name: writer, mountPath: /writer}
MANIFEST
    in_cluster wait --for=condition=ready pod/writer --timeout=60s >/dev/null
}

has_written() { [ "$(in_cluster logs writer | wc -l)" -ge "$1" ]; }

check_rolling_restart() {
    local pod written before
    start_writer
    wait_until 60 has_written 10 || fail "the writer got no write through: $(in_cluster logs writer)"
    before=$(in_cluster logs writer | wc -l)
    in_cluster rollout restart "statefulset/$RELEASE"
    wait_rollout
    in_cluster exec writer -- touch /tmp/stop
    in_cluster wait --for=jsonpath='{.status.phase}'=Succeeded pod/writer --timeout=60s >/dev/null
    written=$(in_cluster logs writer | wc -l)
    [ "$written" -gt "$before" ] || fail "no write was acknowledged during the rolling restart"
    check_pause 10
    for pod in "${PODS[@]}"; do
        wait_until 60 has_all "$pod" || fail "$pod lacks acknowledged documents: $(missing_on "$pod" | head -n 5)"
    done
    # What restarts is no departure: nobody is forgotten, and nobody is missed.
    check_connected "${PODS[@]}"
    check_nobody_absent "${PODS[@]}"
    check_no_restarts "${PODS[@]}"
    in_cluster delete pod writer --wait=false >/dev/null
    ok "rolling restart under $written acknowledged writes: every pod has them all"
}

require_tools docker k3d kubectl helm
mapfile -t PODS < <(pods "$REPLICAS")
trap clean_up EXIT
build_image
create_cluster --agents 0
import_image
install_secret "$STATE_DIR/$CLUSTER.formation-secret"
restrict_namespace
install_chart --set minReadySeconds=0

check_health "${PODS[@]}"
check_connected "${PODS[@]}"
check_documents docs "${PODS[@]}"
check_status "${PODS[@]}"
helm test "$RELEASE" --kube-context "k3d-$CLUSTER" --namespace "$NAMESPACE" --timeout 120s >/dev/null
ok "helm test"
check_all_deleted
check_scale
check_rolling_restart
check_status "${PODS[@]}"
check_no_errors "${PODS[@]}"
check_workers "${PODS[@]}"
say "PASS: one cluster"
