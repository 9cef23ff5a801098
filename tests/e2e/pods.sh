# shellcheck shell=bash
# Pods of a k3d cluster as nodes. Sourced after chart/scripts/steps.sh; NODE is a pod's name, in the cluster CLUSTER.

on() { in_cluster exec -i "$1" -- "${@:2}"; }
logs_of() { in_cluster logs "$1"; }

# pods N: the names of the first N.
pods() {
    local i
    for ((i = 0; i < $1; i++)); do echo "$RELEASE-$i"; done
}

restarts() { in_cluster get pod "$1" -o 'jsonpath={.status.containerStatuses[*].restartCount}'; }

# check_no_restarts POD...: no container of theirs has ended and been started again.
check_no_restarts() {
    local pod count
    for pod in "$@"; do
        count=$(restarts "$pod")
        [ "$count" = 0 ] || fail "the container of $pod was restarted: '$count'; $(in_cluster logs --previous "$pod" 2>&1 | tail -n 40)"
    done
    ok "no container of $* was restarted"
}

# uids POD...: what tells a pod from its successor of the same name.
uids() { in_cluster get pod "$@" -o 'jsonpath={.items[*].metadata.uid}'; }

# missing_on POD: acknowledged ids that it does not have. Fails if the pod or the writer cannot be asked.
missing_on() {
    local ids
    ids=$(in_cluster logs writer) && [ -n "$ids" ] || return 1
    on "$1" python -c "$(cat "$HERE/missing.py")" "$API/documents/rolling" <<<"$ids"
}
has_all() { local missing; missing=$(missing_on "$1") && [ -z "$missing" ]; }

# The longest time between two acknowledged writes, in seconds; the writer leaves it when it ends.
longest_pause() {
    in_cluster get pod writer -o 'jsonpath={.status.containerStatuses[0].state.terminated.message}'
}

# check_pause LIMIT: the API was not away for longer.
check_pause() {
    local pause
    pause=$(longest_pause)
    [[ "$pause" =~ ^[0-9]+$ ]] || fail "the writer did not say how long it waited: '$pause'"
    [ "$pause" -le "$1" ] || fail "the API took no write for $pause s"
    ok "the longest pause between two acknowledged writes was $pause s"
}

show_cluster() {
    printf -- '--- cluster %s\n' "$CLUSTER"
    in_cluster get pods -o wide || true
    in_cluster get events --sort-by=.lastTimestamp 2>/dev/null | tail -n 20 || true
    # shellcheck disable=SC2046 # names without spaces
    show_logs $(in_cluster get pods -l "app=$RELEASE" -o name | sed 's|pod/||')
    local pod
    for pod in $(in_cluster get pods -l "app=$RELEASE" -o name); do
        in_cluster logs --previous "$pod" --tail 40 2>/dev/null | sed "s|^|before, $pod: |" || true
    done
}

# The test's namespace takes nothing that Pod Security "restricted" refuses.
restrict_namespace() {
    in_cluster label --overwrite namespace "$NAMESPACE" pod-security.kubernetes.io/enforce=restricted >/dev/null
}
