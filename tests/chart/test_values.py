"""What single values do, and what is said of wrong ones."""

import json
import re
import subprocess
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from peatnode.config import ExpectedPeers
from peatnode.config.reading import read_expected_peers, read_retention
from peatnode.config.variables import VARIABLES
from tests.chart.chart_rendering import (
    CHART,
    NAMESPACE,
    RELEASE,
    SECRET,
    Rendered,
    helm,
    refusal,
    render,
    render_with,
    template,
)
from tests.chart.kubernetes_schema import problem

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
GATEWAYS = (
    "replicaCount=3",
    "federation.enabled=true",
    "federation.clusterName=alpha",
    "federation.gateways={0,2}",
    "federation.remoteGateways={peat-mesh-0.bravo@172.20.0.3:31204}",
)


def test_the_guides_names_work() -> None:
    guide = render("--values", str(CHART / "ci" / "guide-values.yaml"))
    environment = guide.environment
    assert guide.one("StatefulSet")["spec"]["replicas"] == 2
    assert guide.container["image"] == "peatnode:latest"
    assert guide.container["imagePullPolicy"] == "Never"
    assert environment["PEAT_DISCOVERY"] == "k8s"
    assert environment["PEAT_BROKER_PORT"] == "9081"
    assert environment["PEAT_QUIC_PORT"] == "12204"
    assert environment["PEAT_RELAY_URLS"] == "https://relay.example.org"
    assert environment["PEAT_LOG"] == "debug,peatnode=debug"
    assert guide.one("Secret")["stringData"]["formation-secret"] == SECRET
    assert guide.all("Role")


def test_the_guides_commands_work() -> None:
    mesh = render_with("replicaCount=3")
    assert mesh.one("StatefulSet")["metadata"]["name"] == "peat-mesh"
    assert mesh.pod["metadata"]["labels"]["app"] == "peat-mesh"
    assert mesh.container["resources"] == {
        "requests": {"cpu": "100m", "memory": "128Mi"},
        "limits": {"cpu": "500m", "memory": "256Mi"},
    }


def test_two_releases_in_one_namespace_do_not_mix() -> None:
    one, other = render_with(release="one"), render_with(release="other")
    assert one.environment["PEAT_K8S_LABEL"] == "app=one"
    assert other.environment["PEAT_K8S_LABEL"] == "app=other"
    selector = one.one("StatefulSet")["spec"]["selector"]["matchLabels"]
    assert not selector.items() <= other.pod["metadata"]["labels"].items()


def test_a_missing_secret_says_how_to_make_one() -> None:
    said = refusal()
    assert "openssl rand -base64 32" in said
    assert "kubectl create secret generic" in said


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["formationSecret=c2hvcnQ="], "not base64 of at least 16 bytes"),
        (["formationSecret=not base64 at all but long enough"], "not base64 of at least 16"),
        (["formationSecret=Y29ycmVjdCBob3JzZSBiYXR0ZXJ5"], "no random bytes"),
        ([f"formationSecret={SECRET}", "existingSecret=mine"], "keep one of them"),
        (
            [f"formationSecret={SECRET}", "apiToken=a", "existingApiTokenSecret=b"],
            "keep one of them",
        ),
        ([f"formationSecret={SECRET}", "federation.enabled=true"], "federation.clusterName"),
        (
            [f"formationSecret={SECRET}", *GATEWAYS, "replicaCount=2"],
            "names pod 2, but replicaCount is 2",
        ),
        ([f"formationSecret={SECRET}", "preStopSeconds=20"], "terminationGracePeriodSeconds is 30"),
        ([f"formationSecret={SECRET}", "readToken=a"], "would let anybody write"),
        ([f"formationSecret={SECRET}", "replicaCount=0"], "replicaCount"),
        ([f"formationSecret={SECRET}", "replicas=3"], "replicas"),
        ([f"formationSecret={SECRET}", "peerRetention=a week"], "peerRetention"),
        ([f"formationSecret={SECRET}", "maxPeerDeletions=many"], "maxPeerDeletions"),
        ([f"formationSecret={SECRET}", "undelete.seconds=-1"], "undelete"),
        ([f"formationSecret={SECRET}", "undelete.bytes=1Gi"], "undelete"),
        ([f"formationSecret={SECRET}", "expectedPeers.peers=a b"], "expectedPeers"),
        ([f"formationSecret={SECRET}", "replicaCount=1025"], "replicaCount"),
        ([f"formationSecret={SECRET}", "brokerPort=80"], "brokerPort"),
        ([f"formationSecret={SECRET}", "discovery=dns"], "kubernetes|k8s|mdns|static"),
        ([f"formationSecret={SECRET}", "image.pullPolicy=Sometimes"], "IfNotPresent"),
        ([f"formationSecret={SECRET}", "persistence.accessModes={ReadWriteMany}"], "accessModes"),
        ([f"formationSecret={SECRET}", "federation.remoteGateways={nowhere}"], "remoteGateways"),
    ],
)
def test_wrong_values_are_refused(sets: list[str], said: str) -> None:
    assert said in refusal(*sets)


@pytest.mark.parametrize("length", [16, 17, 18, 32, 64])
def test_every_long_enough_secret_is_taken(length: int) -> None:
    made = subprocess.run(
        f"head -c {length} /dev/urandom | base64 -w0", shell=True, capture_output=True, check=True
    )
    assert template("--set", f"formationSecret={made.stdout.decode()}").returncode == 0


def test_the_secret_does_not_leave_the_secret() -> None:
    mesh = render_with("apiToken=an-api-token")
    for document in mesh.documents:
        if document["kind"] != "Secret":
            assert SECRET not in json.dumps(document)
            assert "an-api-token" not in json.dumps(document)


def test_the_checksum_follows_the_secret() -> None:
    def checksum(*sets: str) -> str:
        return render_with(*sets).pod["metadata"]["annotations"]["checksum/secret"]

    assert checksum() == checksum("replicaCount=4")
    assert checksum() != checksum("apiToken=another")


def test_existing_secrets_are_used_and_none_is_made() -> None:
    mesh = render("--values", str(CHART / "ci" / "existing-secrets-values.yaml"))
    assert mesh.all("Secret") == []
    volume = next(v for v in mesh.pod["spec"]["volumes"] if v["name"] == "secrets")
    assert [s["secret"] for s in volume["projected"]["sources"]] == [
        {"name": "peat-formation", "items": [{"key": "secret", "path": "formation-secret"}]},
        {"name": "peat-api", "items": [{"key": "token", "path": "api-token"}]},
        {"name": "peat-api", "items": [{"key": "read", "path": "read-token"}]},
    ]


@pytest.mark.parametrize(
    ("tokens", "key"),
    [(["apiToken=abc"], "api-token"), (["apiToken=abc", "readToken=def"], "read-token")],
)
def test_prometheus_gets_the_token_that_may_do_least(tokens: list[str], key: str) -> None:
    mesh = render_with(*tokens, "metrics.serviceMonitor.enabled=true")
    (endpoint,) = mesh.one("ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["path"] == "/metrics"
    credentials = endpoint["authorization"]["credentials"]
    secret = mesh.one("Secret")
    assert credentials["name"] == secret["metadata"]["name"]
    assert credentials["key"] == key
    assert key in secret["stringData"]


def test_metadata_reaches_the_slices() -> None:
    # The controller copies a Service's labels to its slices, not its annotations.
    metadata = render_with("peerMetadata.region=north").one("Service", RELEASE)["metadata"]
    assert metadata["labels"]["peat.region"] == "north"
    assert metadata["annotations"] == {"peat.region": "north"}


def expected(mesh: Rendered) -> ExpectedPeers:
    """What the node of a pod makes of the ConfigMap that is mounted into it."""
    name = "PEAT_EXPECTED_PEERS_FILE"
    mounts = {mount["mountPath"]: mount for mount in mesh.container["volumeMounts"]}
    mount = mounts["/etc/peatnode/peers"]
    assert mesh.environment[name] == "/etc/peatnode/peers/expected"
    assert "subPath" not in mount, "the kubelet would never renew it"
    volume = next(v for v in mesh.pod["spec"]["volumes"] if v["name"] == mount["name"])
    config = mesh.one("ConfigMap", volume["configMap"]["name"])
    return read_expected_peers(name, config["data"]["expected"])


def test_each_pod_expects_all_the_others() -> None:
    assert expected(render_with()).others("peat-mesh-1") == ("peat-mesh-0", "peat-mesh-2")
    east = expected(render_with("federation.clusterName=east", "replicaCount=2"))
    assert east.others("peat-mesh-0.east") == ("peat-mesh-1.east",)
    named = expected(render_with("fullnameOverride=documents", "replicaCount=2"))
    assert named.others("documents-0") == ("documents-1",)
    assert expected(render_with("replicaCount=1")).others("peat-mesh-0") == ()
    assert len(expected(render_with("replicaCount=1024")).node_ids) == 1024


def test_what_is_expected_can_be_said_and_switched_off() -> None:
    assert expected(render_with("expectedPeers.peers=5")) == ExpectedPeers(5)
    said = expected(render_with("expectedPeers.peers=a\\, b", "discovery=static"))
    assert said.node_ids == ("a", "b")
    for sets in (["expectedPeers.enabled=false"], ["discovery=static"], ["discovery=mdns"]):
        mesh = render_with(*sets)
        assert "PEAT_EXPECTED_PEERS_FILE" not in mesh.environment
        assert mesh.all("ConfigMap") == []
        assert "peers" not in {volume["name"] for volume in mesh.pod["spec"]["volumes"]}


def test_scaling_changes_the_expected_peers_and_restarts_no_pod() -> None:
    three, five = render_with("replicaCount=3"), render_with("replicaCount=5")
    assert len(expected(three).node_ids) == 3
    assert len(expected(five).node_ids) == 5
    assert three.pod == five.pod


@pytest.mark.parametrize("retention", ["90m", "7d", "never"])
def test_the_retention_is_one_that_a_node_takes(retention: str) -> None:
    environment = render_with(f"peerRetention={retention}").environment
    read_retention("PEAT_PEER_RETENTION", environment["PEAT_PEER_RETENTION"])


@pytest.mark.parametrize(("seconds", "room"), [(0, 0), (86400, 268435456), (31536000, 68719476736)])
def test_what_is_kept_of_deleted_documents_is_bounded_as_a_node_takes_it(
    seconds: int, room: int
) -> None:
    environment = render_with(f"undelete.seconds={seconds}", f"undelete.bytes={room}").environment
    rows = {variable.name: variable for variable in VARIABLES}
    for name, expected_number in (
        ("PEAT_UNDELETE_SECONDS", seconds),
        ("PEAT_UNDELETE_BYTES", room),
    ):
        assert rows[name].read(name, environment[name]) == expected_number


def start_as(pod: str, *sets: str) -> dict[str, str]:
    """What the container's own command makes of its environment in that pod."""
    container = render_with(*sets).container
    assert container["command"][:2] == ["tini", "--"]
    script = container["args"][0].replace("exec peatnode run", "env")
    environment = {e["name"]: e["value"] for e in container["env"] if "value" in e}
    done = subprocess.run(
        [*container["command"][2:], script],
        env={"PATH": "/usr/bin:/bin", **environment, "HOSTNAME": pod},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def test_gateways_and_only_they_dial_the_other_cluster() -> None:
    for pod, gateway in (("peat-mesh-0", True), ("peat-mesh-1", False), ("peat-mesh-2", True)):
        environment = start_as(pod, *GATEWAYS)
        assert environment["PEAT_CLUSTER"] == "alpha"
        if gateway:
            assert environment["PEAT_DISCOVERY"] == "kubernetes,static"
            assert environment["PEAT_STATIC_PEERS"] == "peat-mesh-0.bravo@172.20.0.3:31204"
        else:
            assert environment["PEAT_DISCOVERY"] == "kubernetes"
            assert "PEAT_STATIC_PEERS" not in environment


def test_pod_10_is_not_pod_1() -> None:
    sets = (*GATEWAYS, "replicaCount=20", "federation.gateways={10}")
    assert "PEAT_STATIC_PEERS" in start_as("peat-mesh-10", *sets)
    assert "PEAT_STATIC_PEERS" not in start_as("peat-mesh-1", *sets)


def test_gateways_are_reached_one_by_one() -> None:
    mesh = render_with(*GATEWAYS)
    gateways = [s["spec"] for s in mesh.all("Service") if s["spec"].get("type") == "NodePort"]
    assert [
        (s["selector"]["statefulset.kubernetes.io/pod-name"], s["ports"][0]["nodePort"])
        for s in gateways
    ] == [("peat-mesh-0", 31204), ("peat-mesh-2", 31205)]
    policy = mesh.one("NetworkPolicy", "peat-mesh-gateways")["spec"]
    assert policy["podSelector"]["matchExpressions"][0]["values"] == ["peat-mesh-0", "peat-mesh-2"]


def test_a_cluster_name_needs_no_federation() -> None:
    assert render_with("federation.clusterName=alpha").environment["PEAT_CLUSTER"] == "alpha"


def test_discovery_by_several_sources() -> None:
    mesh = render_with(*GATEWAYS, "discovery=kubernetes\\, static", "staticPeers=a@b:1")
    assert mesh.environment["PEAT_DISCOVERY"] == "kubernetes,static"
    assert mesh.environment["GATEWAY_DISCOVERY"] == "kubernetes,static"
    assert mesh.environment["GATEWAY_STATIC_PEERS"].split(",")[0] == "a@b:1"


def test_ipv6() -> None:
    assert "PEAT_QUIC_HOST" not in render_with().environment
    environment = render_with("ipv6=true").environment
    assert environment["PEAT_QUIC_HOST"] == environment["PEAT_BROKER_HOST"] == "::"


def test_one_pod_is_never_held_by_a_budget() -> None:
    assert render_with("replicaCount=1").all("PodDisruptionBudget") == []
    assert render_with("replicaCount=2").all("PodDisruptionBudget")


def test_monitoring_is_off_by_default() -> None:
    mesh = render_with()
    assert mesh.all("ServiceMonitor") == mesh.all("PrometheusRule") == []
    assert [c["metadata"]["name"] for c in mesh.all("ConfigMap")] == ["peat-mesh-peers"]


def test_foreign_manifests_are_noticed() -> None:
    broken: dict[str, Any] = json.loads(json.dumps(render_with().one("StatefulSet")))
    broken["spec"]["replicaCount"] = 3
    assert "replicaCount" in problem(broken)


def test_notes_name_the_next_steps() -> None:
    done = subprocess.run(
        [
            helm(), "install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--dry-run=client",
            "--set", f"formationSecret={SECRET}",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "cluster unreachable" in done.stderr:
        pytest.skip("helm 3 shows notes only where there is a cluster")
    assert done.returncode == 0, done.stderr
    for step in (
        "peatnode status",
        f"helm test {RELEASE}",
        "port-forward",
        "needs no token",
        "nobody misses",
    ):
        assert step in done.stdout


def test_the_schema_is_a_schema_and_the_defaults_fit() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert list(Draft7Validator(SCHEMA).iter_errors(VALUES)) == []


def leaves(values: dict[str, Any], schema: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted names of all values; what the schema leaves open (labels, resources) counts as one."""
    names = []
    for key, value in values.items():
        inner = schema["properties"][key]
        if isinstance(value, dict) and "properties" in inner and key != "resources":
            names += leaves(value, inner, f"{prefix}{key}.")
        else:
            names.append(prefix + key)
    return names


def test_the_readme_lists_every_value_and_no_other() -> None:
    listed = re.findall(r"^\| `([a-zA-Z0-9.]+)`", (CHART / "README.md").read_text(), re.MULTILINE)
    aliases = {"discoveryMode", "irohBindPort", "irohRelayUrls", "rustLog"}
    assert sorted(listed) == sorted(leaves(VALUES, SCHEMA))
    assert aliases <= SCHEMA["properties"].keys()
    for alias in aliases:
        assert f"`{alias}`" in (CHART / "README.md").read_text()


@pytest.mark.parametrize("limit", [0, 5000, 1_000_000])
def test_the_limit_of_deletions_is_one_that_a_node_takes(limit: int) -> None:
    environment = render_with(f"maxPeerDeletions={limit}").environment
    assert environment["PEAT_MAX_PEER_DELETIONS"] == str(limit)
