"""What holds for the manifests of every values file in chart/ci."""

from typing import Any

import pytest

from tests.chart.chart_rendering import CI_VALUES, Rendered, run_helm
from tests.chart.kubernetes_schema import MODELS, problem

FOREIGN_KINDS = {"ServiceMonitor", "PrometheusRule"}
HASH_LENGTH = 64


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_lints_strictly(values: Any) -> None:
    done = run_helm("lint", "--strict", str(values.parents[1]), "--values", str(values))
    assert done.returncode == 0, done.stdout + done.stderr


def test_fits_the_kubernetes_api(rendered: Rendered) -> None:
    for document in rendered.documents:
        if document["kind"] in MODELS:
            assert problem(document) == "", document["metadata"]["name"]
        else:
            assert document["kind"] in FOREIGN_KINDS


def test_names_are_distinct_and_namespaced(rendered: Rendered) -> None:
    names = [(d["kind"], d["metadata"]["name"]) for d in rendered.documents]
    assert len(set(names)) == len(names)
    assert {d["metadata"]["namespace"] for d in rendered.documents} == {"meshes"}


def test_pod_security_restricted(rendered: Rendered) -> None:
    test_pod = rendered.one("Pod")["spec"]
    for spec in (rendered.pod["spec"], test_pod):
        pod = spec["securityContext"]
        assert pod["runAsNonRoot"] is True
        assert pod["runAsUser"] >= 10000
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
            }
        allowed = {"emptyDir", "projected", "secret", "persistentVolumeClaim", "configMap"}
        for volume in spec.get("volumes", []):
            assert volume.keys() - {"name"} <= allowed


def test_role_is_minimal(rendered: Rendered) -> None:
    for role in rendered.all("Role"):
        assert role["rules"] == [
            {
                "apiGroups": ["discovery.k8s.io"],
                "resources": ["endpointslices"],
                "verbs": ["list", "watch"],
            },
            {
                "apiGroups": ["apps"],
                "resources": ["statefulsets"],
                "resourceNames": [rendered.one("StatefulSet")["metadata"]["name"]],
                "verbs": ["get", "watch"],
            },
        ]
        binding = rendered.one("RoleBinding")
        assert binding["roleRef"]["name"] == role["metadata"]["name"]
        assert binding["subjects"][0]["name"] == rendered.pod["spec"]["serviceAccountName"]
    watches = "kubernetes" in rendered.environment["PEAT_DISCOVERY"] or (
        "k8s" in rendered.environment["PEAT_DISCOVERY"]
    )
    assert bool(rendered.all("Role")) is watches
    assert rendered.pod["spec"]["automountServiceAccountToken"] is watches


def test_peers_meet_before_they_are_ready(rendered: Rendered) -> None:
    name = rendered.one("StatefulSet")["metadata"]["name"]
    service = rendered.one("Service", name)
    assert rendered.one("StatefulSet")["spec"]["serviceName"] == name
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    ports = {p["name"]: (p["port"], p["protocol"]) for p in service["spec"]["ports"]}
    assert ports == {
        "quic": (int(rendered.environment["PEAT_QUIC_PORT"]), "UDP"),
        "api": (int(rendered.environment["PEAT_BROKER_PORT"]), "TCP"),
    }


def test_discovery_selects_the_headless_service_alone(rendered: Rendered) -> None:
    name = rendered.one("StatefulSet")["metadata"]["name"]
    labelled = [
        s["metadata"]["name"] for s in rendered.all("Service") if "app" in s["metadata"]["labels"]
    ]
    assert labelled == [name]
    assert rendered.pod["metadata"]["labels"]["app"] == name
    if rendered.all("Role"):
        assert rendered.environment["PEAT_K8S_LABEL"] == f"app={name}"
        assert rendered.environment["PEAT_K8S_NAMESPACE"] == "meshes"


def test_every_selector_finds_the_pods_and_not_the_test(rendered: Rendered) -> None:
    pod, test_pod = rendered.pod["metadata"]["labels"], rendered.one("Pod")["metadata"]["labels"]
    selectors = [
        rendered.one("StatefulSet")["spec"]["selector"]["matchLabels"],
        *(s["spec"]["selector"] for s in rendered.all("Service")),
        *(p["spec"]["podSelector"]["matchLabels"] for p in rendered.all("NetworkPolicy")),
        *(p["spec"]["selector"]["matchLabels"] for p in rendered.all("PodDisruptionBudget")),
        *(
            c["labelSelector"]["matchLabels"]
            for c in rendered.pod["spec"].get("topologySpreadConstraints", [])
        ),
    ]
    for selector in selectors:
        wanted = {k: v for k, v in selector.items() if k != "statefulset.kubernetes.io/pod-name"}
        assert wanted.items() <= pod.items()
        assert not wanted.items() <= test_pod.items()


def test_the_service_monitor_finds_the_headless_service_alone(rendered: Rendered) -> None:
    for monitor in rendered.all("ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        found = [s for s in rendered.all("Service") if wanted <= s["metadata"]["labels"].items()]
        assert [s["spec"].get("clusterIP") for s in found] == ["None"]


def test_secrets_are_files(rendered: Rendered) -> None:
    environment = rendered.environment
    assert not {"PEAT_FORMATION_SECRET", "PEAT_API_TOKEN", "PEAT_READ_TOKEN"} & environment.keys()
    assert environment["PEAT_FORMATION_SECRET_FILE"] == "/etc/peatnode/secrets/formation-secret"
    volumes = {v["name"]: v for v in rendered.pod["spec"]["volumes"]}
    sources = volumes["secrets"]["projected"]["sources"]
    paths = {item["path"] for s in sources for item in s["secret"]["items"]}
    assert ("api-token" in paths) is ("PEAT_API_TOKEN_FILE" in environment)
    assert ("read-token" in paths) is ("PEAT_READ_TOKEN_FILE" in environment)
    for secret in rendered.all("Secret"):
        for source in sources:
            if source["secret"]["name"] == secret["metadata"]["name"]:
                assert {i["key"] for i in source["secret"]["items"]} <= secret["stringData"].keys()


def test_only_data_and_memory_are_written(rendered: Rendered) -> None:
    mounts = {m["mountPath"]: m for m in rendered.container["volumeMounts"]}
    assert {path for path, mount in mounts.items() if not mount.get("readOnly")} == {
        "/data",
        "/tmp",
    }
    volumes = {v["name"]: v for v in rendered.pod["spec"]["volumes"]}
    assert volumes["tmp"]["emptyDir"]["medium"] == "Memory"
    claims = rendered.one("StatefulSet")["spec"].get("volumeClaimTemplates", [])
    assert [c["metadata"]["name"] for c in claims] + [n for n in volumes if n == "data"] == ["data"]


def test_probes_ask_what_needs_no_token(rendered: Rendered) -> None:
    paths = {
        name: rendered.container[name]["httpGet"]
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {
        "startupProbe": {"path": "/api/v1/health", "port": "api"},
        "livenessProbe": {"path": "/api/v1/health", "port": "api"},
        "readinessProbe": {"path": "/api/v1/ready", "port": "api"},
    }
    startup = rendered.container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 10


def test_a_stop_has_the_time_it_needs(rendered: Rendered) -> None:
    spec = rendered.pod["spec"]
    pre_stop = rendered.container.get("lifecycle", {}).get("preStop", {})
    slept = int(pre_stop["exec"]["command"][1]) if pre_stop else 0
    assert spec["terminationGracePeriodSeconds"] > slept + 10


def test_no_service_writes_into_the_environment(rendered: Rendered) -> None:
    assert rendered.pod["spec"]["enableServiceLinks"] is False
    assert rendered.one("Pod")["spec"]["enableServiceLinks"] is False


def test_ports_are_named(rendered: Rendered) -> None:
    named = {p["name"]: p["protocol"] for p in rendered.container["ports"]}
    assert named == {"api": "TCP", "quic": "UDP"}
    for service in rendered.all("Service"):
        for port in service["spec"]["ports"]:
            assert named[port["targetPort"]] == port["protocol"]


def test_resources_are_bounded(rendered: Rendered) -> None:
    for container in (rendered.container, rendered.one("Pod")["spec"]["containers"][0]):
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


def test_a_changed_secret_restarts_the_pods(rendered: Rendered) -> None:
    checksum = rendered.pod["metadata"]["annotations"]["checksum/secret"]
    assert len(checksum) == HASH_LENGTH


def test_starts_together_and_is_updated_in_order(rendered: Rendered) -> None:
    spec = rendered.one("StatefulSet")["spec"]
    assert spec["podManagementPolicy"] == "Parallel"
    assert spec["updateStrategy"] == {"type": "RollingUpdate"}


def test_network_policy_names_who_reaches_what(rendered: Rendered) -> None:
    for policy in rendered.all("NetworkPolicy"):
        assert policy["spec"]["policyTypes"] == ["Ingress"]
        for rule in policy["spec"]["ingress"]:
            assert rule["from"]
            assert {p["port"] for p in rule["ports"]} <= {"quic", "api"}
            foreign = [peer for peer in rule["from"] if "ipBlock" in peer]
            if "quic" in {p["port"] for p in rule["ports"]} and foreign:
                assert policy["metadata"]["name"].endswith("-gateways")
