# shellcheck shell=bash
# The steps that deployments and end-to-end tests are made of. Sourced; needs docker, k3d, kubectl and helm, nothing else.
# In the environment, each with a default: CLUSTER, NAMESPACE, RELEASE, REPLICAS, API_PORT, IMAGE, BASE_IMAGE, STATE_DIR.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CLUSTER=${CLUSTER:-peat}
NAMESPACE=${NAMESPACE:-default}
RELEASE=${RELEASE:-peat-mesh}
REPLICAS=${REPLICAS:-3}
API_PORT=${API_PORT:-8081}
IMAGE=${IMAGE:-peatnode:latest}
BASE_IMAGE=${BASE_IMAGE:-}
STATE_DIR=${STATE_DIR:-$ROOT/.data/k3d}
SECRET_NAME=peat-formation

say() { printf '==> %s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# require_tools TOOL...: exits with 1 if a tool is missing, and prints how to install it.
require_tools() {
    local tool missing=0
    for tool in "$@"; do
        command -v "$tool" >/dev/null 2>&1 && continue
        missing=1
        case "$tool" in
            docker) echo "docker is missing: install Docker Engine, see https://docs.docker.com/engine/install/" ;;
            k3d) echo "k3d is missing: install it from https://k3d.io/ (one file, version 5 or newer)" ;;
            kubectl) echo "kubectl is missing: install it from https://kubernetes.io/docs/tasks/tools/ (one file)" ;;
            helm) echo "helm is missing: install it from https://helm.sh/docs/intro/install/ (one file, version 3.10 or newer)" ;;
            *) echo "$tool is missing" ;;
        esac >&2
    done
    [ "$missing" -eq 0 ] || exit 1
    case " $* " in *" docker "*)
        docker info >/dev/null 2>&1 ||
            fail "docker is installed, but its engine does not answer: start it, or add yourself to the group docker" ;;
    esac
}

build_image() {
    local version revision arguments
    version=$(sed -n 's/^__version__ *= *"\(.*\)".*/\1/p' "$ROOT/peatnode/__init__.py")
    revision=$(git -C "$ROOT" rev-parse HEAD 2>/dev/null || echo unknown)
    arguments=(--build-arg "VERSION=${version:-0.0.0}" --build-arg "REVISION=$revision"
        --build-arg "CREATED=$(date -u +%Y-%m-%dT%H:%M:%SZ)")
    [ -z "$BASE_IMAGE" ] || arguments+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
    say "building $IMAGE"
    docker build "${arguments[@]}" -t "$IMAGE" "$ROOT"
}

cluster_exists() { k3d cluster list --no-headers 2>/dev/null | awk '{print $1}' | grep -qx "$CLUSTER"; }

# create_cluster [K3D-ARGUMENT...]: creates the cluster, or starts the existing one.
create_cluster() {
    if cluster_exists; then
        say "cluster $CLUSTER is there"
        k3d cluster start "$CLUSTER" --wait
        return
    fi
    say "creating cluster $CLUSTER"
    k3d cluster create "$CLUSTER" --no-lb --wait --timeout 300s --api-port 127.0.0.1:random \
        --k3s-arg '--disable=traefik@server:0' --k3s-arg '--disable=metrics-server@server:0' "$@"
}

import_image() {
    say "importing $IMAGE into cluster $CLUSTER"
    k3d image import "$IMAGE" -c "$CLUSTER"
}

in_cluster() { kubectl --context "k3d-$CLUSTER" --namespace "$NAMESPACE" "$@"; }

new_secret() { head -c 32 /dev/urandom | base64 | tr -d '\n'; }

# make_secret FILE: creates FILE if it is missing, readable by its owner alone.
make_secret() {
    local file=$1
    [ -s "$file" ] && return
    (umask 077 && mkdir -p "$(dirname "$file")" && new_secret >"$file.new" && mv "$file.new" "$file")
    say "made a formation secret: $file"
}

# install_secret FILE: puts FILE into the cluster, on no command line; an existing secret stays.
install_secret() {
    in_cluster create namespace "$NAMESPACE" --dry-run=client -o yaml | in_cluster apply -f - >/dev/null
    if in_cluster get secret "$SECRET_NAME" >/dev/null 2>&1; then
        return
    fi
    make_secret "$1"
    in_cluster create secret generic "$SECRET_NAME" --from-file=formation-secret="$1" >/dev/null
}

# install_chart HELM-ARGUMENT...: installs or upgrades, and waits. Pods are replaced only if image or values changed.
install_chart() {
    local id
    id=$(docker image inspect --format '{{.Id}}' "$IMAGE")
    say "installing release $RELEASE with $REPLICAS nodes into cluster $CLUSTER"
    helm upgrade --install "$RELEASE" "$ROOT/chart" \
        --kube-context "k3d-$CLUSTER" --namespace "$NAMESPACE" \
        --values "$ROOT/chart/scripts/k3d-values.yaml" \
        --set "replicaCount=$REPLICAS" \
        --set "image.repository=${IMAGE%:*}" --set-string "image.tag=${IMAGE##*:}" \
        --set-string "podAnnotations.image-id=$id" \
        --set "existingSecret=$SECRET_NAME" "$@"
    wait_rollout
}

wait_rollout() {
    in_cluster rollout status "statefulset/$RELEASE" --timeout=300s
}

# wait_until SECONDS COMMAND...: tries once a second until it succeeds.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 1
    done
}
