"""The address of the API server and the credentials, which Kubernetes mounts into every pod.

The only importer of the Kubernetes client. Importing any part of that package imports every API group and
model of Kubernetes (22 MB), so only the small module that is needed is loaded, without the package: see
docs/adr/0001-discovery-loads-one-module-of-the-kubernetes-client.md.
"""

from __future__ import annotations

import importlib
import importlib.util
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from peatnode.errors import BadConfiguration


@dataclass(slots=True)
class _Settings:
    """Receives the settings from the loader of the client, in place of its own Configuration."""

    host: str = ""
    ssl_ca_cert: str = ""
    api_key: dict[str, str] = field(default_factory=dict)
    refresh_api_key_hook: Any = None


class ServiceAccount:
    """The service account of the pod. It rereads a rotated token,
    and the CA certificate for each connection."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        """`environment` contains the address of the API server. Raises BadConfiguration outside a pod."""
        incluster = _import_incluster()
        self._settings = _Settings()
        try:
            incluster.InClusterConfigLoader(
                token_filename=str(directory / "token"),
                cert_filename=str(directory / "ca.crt"),
                environ=environment,
            ).load_and_set(self._settings)
        except (incluster.ConfigException, OSError) as error:
            raise BadConfiguration(
                "PEAT_DISCOVERY=kubernetes works only in a pod with a service account "
                f"({str(error).rstrip('.')}; looked in {directory}): "
                "elsewhere set PEAT_DISCOVERY=mdns, or static with PEAT_STATIC_PEERS"
            ) from error
        self._incluster = incluster
        self.namespace = _read_text(directory / "namespace") or "default"

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self._settings.host)
        return parts.hostname or "", parts.port or 443

    def authorization(self) -> str:
        """The value of the Authorization header. Raises OSError if the token cannot be read."""
        try:
            self._settings.refresh_api_key_hook(self._settings)
        except self._incluster.ConfigException as error:
            raise OSError(str(error)) from error
        return self._settings.api_key["BearerToken"].strip()

    def tls(self) -> ssl.SSLContext:
        """The TLS settings. Raises OSError (also ssl.SSLError) if the CA certificate cannot be read."""
        context = ssl.create_default_context(cafile=self._settings.ssl_ca_cert)
        context.set_alpn_protocols(["http/1.1"])
        return context


def _read_text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _import_incluster() -> ModuleType:
    """Imports `kubernetes.config.incluster_config` without its parent packages."""
    package = importlib.util.find_spec("kubernetes")
    assert package is not None
    assert package.submodule_search_locations is not None
    root = Path(package.submodule_search_locations[0])
    stand_ins = {
        name: ModuleType(name) for name in ("kubernetes", "kubernetes.client", "kubernetes.config")
    }
    for name, module in stand_ins.items():
        module.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
    # The module imports Configuration for a default that is not used here.
    vars(stand_ins["kubernetes.client"])["Configuration"] = _Settings
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        return importlib.import_module("kubernetes.config.incluster_config")
    finally:
        for name, module_before in before.items():
            if module_before is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module_before
