"""Checks manifests against the models of the Kubernetes client, which are generated from the API's own description.

They say which fields there are, which are required, and of what type each is: `apply --validate=strict`, offline.
"""

from functools import cache
from types import ModuleType
from typing import Any

MODELS = {
    "ConfigMap": "V1ConfigMap",
    "NetworkPolicy": "V1NetworkPolicy",
    "Pod": "V1Pod",
    "PodDisruptionBudget": "V1PodDisruptionBudget",
    "Role": "V1Role",
    "RoleBinding": "V1RoleBinding",
    "Secret": "V1Secret",
    "Service": "V1Service",
    "ServiceAccount": "V1ServiceAccount",
    "StatefulSet": "V1StatefulSet",
}


@cache
def client() -> ModuleType:
    from kubernetes import client  # its import takes a second

    return client


def problem(manifest: dict[str, Any]) -> str:
    """What is wrong with it; empty if nothing is."""
    try:
        getattr(client(), MODELS[manifest["kind"]]).model_validate(manifest)
    except ValueError as error:
        return str(error)
    return ""
