# shellcheck shell=bash
# Pods of a k3d cluster as nodes. Sourced after chart/scripts/steps.sh; NODE is a pod's name, in the cluster CLUSTER.

on() { in_cluster exec -i "$1" -- "${@:2}"; }
logs_of() { in_cluster logs "$1"; }

# pods N: the names of the first N.
pods() {
    local i
    for ((i = 0; i < $1; i++)); do echo "$RELEASE-$i"; done
}

show_cluster() {
    printf -- '--- cluster %s\n' "$CLUSTER"
    in_cluster get pods -o wide || true
    in_cluster get events --sort-by=.lastTimestamp 2>/dev/null | tail -n 20 || true
    # shellcheck disable=SC2046 # names without spaces
    show_logs $(in_cluster get pods -l "app=$RELEASE" -o name | sed 's|pod/||')
}

# The test's namespace takes nothing that Pod Security "restricted" refuses.
restrict_namespace() {
    in_cluster label --overwrite namespace "$NAMESPACE" pod-security.kubernetes.io/enforce=restricted >/dev/null
}
