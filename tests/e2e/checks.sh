# shellcheck shell=bash
# Checks of a running mesh, in containers or in pods. Sourced by a script that defines
#   on NODE COMMAND...   runs a command in a node, with its standard input
#   logs_of NODE         prints its log
# and has sourced chart/scripts/steps.sh first.

API=http://127.0.0.1:8081/api/v1

ok() { printf 'ok: %s\n' "$*"; }

# Prints EXPRESSION of the JSON answer d to GET PATH. In Python, which every node has.
ASK='import json, sys, urllib.request
d = json.load(urllib.request.urlopen(sys.argv[1], timeout=5))
print(eval(sys.argv[2], {"d": d}))'

# ask NODE PATH EXPRESSION
ask() { on "$1" python -c "$ASK" "$API$2" "$3" 2>/dev/null; }

# put NODE COLLECTION ID JSON
put() { on "$1" curl -fsS -m 10 -X PUT -H 'Content-Type: application/json' -d "$4" "$API/documents/$2/$3" >/dev/null; }

# shows NODE COLLECTION ID EXPRESSION: whether EXPRESSION of the document d is true there.
shows() { [ "$(ask "$1" "/documents/$2/$3" "(lambda d: $4)(d['document'])")" = True ]; }

# lacks NODE COLLECTION ID: whether the node answers that it has no such document.
lacks() { [ "$(on "$1" curl -s -m 10 -o /dev/null -w '%{http_code}' "$API/documents/$2/$3")" = 404 ]; }

is_healthy() { [ "$(ask "$1" /health 'd["status"]')" = healthy ]; }
is_ready() { [ "$(ask "$1" /ready 'd["ready"]')" = True ]; }
device_id() { ask "$1" /node 'd["device_id"]'; }
# absent_peers NODE: the list of the members that it says are away.
absent_peers() { ask "$1" /peers 'sorted(p["id"] for p in d["peers"] if p["state"] == "absent")'; }
misses_nobody() { [ "$(absent_peers "$1")" = "[]" ]; }
# connected_peers NODE: a dash, so that no answer looks different from no peers, and the ids.
connected_peers() { ask "$1" /peers '" ".join(["-", *sorted(p["id"] for p in d["peers"] if p["connected"])])'; }

# sees NODE PEER...: whether NODE is connected to every PEER.
sees() {
    local node=$1 peers peer
    shift
    peers=" $(connected_peers "$node") "
    for peer in "$@"; do
        case "$peers" in *" $peer "*) ;; *) return 1 ;; esac
    done
}

# is_apart NODE PEER: whether NODE answers that it is not connected to PEER.
is_apart() { local peers; peers=$(connected_peers "$1") && [[ "$peers" = -* && " $peers " != *" $2 "* ]]; }

check_health() {
    local node
    for node in "$@"; do
        wait_until 60 is_healthy "$node" || fail "$node is not healthy"
        wait_until 60 is_ready "$node" || fail "$node is not ready: $(on "$node" curl -s "$API/ready")"
    done
    ok "all of $* are healthy and ready"
}

check_connected() {
    local node other
    for node in "$@"; do
        for other in "$@"; do
            [ "$node" = "$other" ] && continue
            wait_until 60 sees "$node" "$other" ||
                fail "$node is not connected to $other, but to: $(connected_peers "$node")"
        done
    done
    ok "every one of $* is connected to every other"
}

status_is_good() { on "$1" peatnode status >/dev/null 2>&1; }

check_status() {
    local node
    for node in "$@"; do
        wait_until 60 status_is_good "$node" || fail "peatnode status of $node: $(on "$node" peatnode status 2>&1)"
    done
    ok "peatnode status finds nothing wrong on any of $*"
}

check_nobody_absent() {
    local node
    for node in "$@"; do
        wait_until 30 misses_nobody "$node" || fail "$node says that these peers are absent: $(absent_peers "$node")"
    done
    ok "none of $* misses a peer"
}

# check_documents COLLECTION NODE...: a document written on each node can be read on all.
check_documents() {
    local collection=$1 node writer
    shift
    for node in "$@"; do
        put "$node" "$collection" "from-$node" "{\"writer\":\"$node\"}" || fail "$node did not take a document"
    done
    for node in "$@"; do
        for writer in "$@"; do
            wait_until 60 shows "$node" "$collection" "from-$writer" "d['writer'] == '$writer'" ||
                fail "$node does not show the document of $writer"
        done
    done
    ok "a document written on each of $* is read on all of them"
}

# check_no_errors NODE...: the logs have no errors.
check_no_errors() {
    local node lines log
    for node in "$@"; do
        log=$(logs_of "$node" 2>&1) || log=
        [ -n "$log" ] || fail "the log of $node cannot be read"
        lines=$(grep -E '\[(error|critical) *\]|"level": ?"(error|critical)"|\b(ERROR|CRITICAL)\b|^Traceback' <<<"$log" || true)
        [ -z "$lines" ] || fail "the log of $node has error lines: $lines"
    done
    ok "no error lines in the logs of $*"
}

# dead_workers NODE: the names of those that have ended and were started again; the log has no error of it.
dead_workers() { ask "$1" /node '[w["name"] for w in d["workers"] if w["restarts"]]'; }

check_workers() {
    local node
    for node in "$@"; do
        [ "$(dead_workers "$node")" = "[]" ] || fail "workers of $node have died: $(dead_workers "$node")"
    done
    ok "no worker of $* has died"
}

# Shown when a test fails: the last lines of every node.
show_logs() {
    local node
    for node in "$@"; do
        printf -- '--- log of %s\n' "$node"
        logs_of "$node" 2>&1 | tail -n 40 || true
    done
}
