"""Names, ports, directories and environments of the nodes on one machine. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

LOOPBACK = "127.0.0.1"
FIRST_API_PORT = 8081
FIRST_QUIC_PORT = 11204
FIRST_NAME = "peat-mesh-"
MAX_NODES = 64

SECRET_FILE = "formation-secret"  # noqa: S105  # the name of the file


@dataclass(frozen=True, slots=True)
class NodePlan:
    """The name, the ports and the directories of a node on this machine."""

    name: str
    api_port: int
    quic_port: int
    data_dir: Path
    secret_file: Path

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.api_port}"

    def environment(self, given: Mapping[str, str], is_one_of_many: bool) -> dict[str, str]:
        """The environment of the node's process: variables of the user (`given`) override the plan.

        `is_one_of_many`: several nodes share `given`, so the plan decides the name, ports and directories.
        """
        own = {
            "HOSTNAME": self.name,
            "PEAT_DATA_DIR": str(self.data_dir),
            "PEAT_BROKER_PORT": str(self.api_port),
            "PEAT_QUIC_PORT": str(self.quic_port),
        }
        defaults = {
            "PEAT_BROKER_HOST": LOOPBACK,
            "PEAT_DISCOVERY": "mdns",
            "PEAT_MDNS_INTERFACES": LOOPBACK,
        }
        if given.get("PEAT_STATIC_PEERS"):
            defaults["PEAT_DISCOVERY"] = "mdns,static"
        env = {name: value for name, value in given.items() if value}
        if not (env.get("PEAT_FORMATION_SECRET") or env.get("PEAT_FORMATION_SECRET_FILE")):
            defaults["PEAT_FORMATION_SECRET_FILE"] = str(self.secret_file)
        if is_one_of_many:
            for name in ("PEAT_RUN_DIR", "PEAT_IROH_BIND_PORT"):
                env.pop(name, None)
            return {**defaults, **env, **own}
        return {**defaults, **own, **env, "HOSTNAME": self.name}


def plan_node(
    data_dir: Path,
    number: int,
    api_port: int = FIRST_API_PORT,
    quic_port: int = FIRST_QUIC_PORT,
) -> NodePlan:
    """Plans node `number` of several with directories in `data_dir`. The ports are those of node 0."""
    name = f"{FIRST_NAME}{number}"
    return NodePlan(
        name,
        api_port + number,
        quic_port + number,
        data_dir / name,
        data_dir / SECRET_FILE,
    )


def plan_dev(data_dir: Path, number: int) -> NodePlan:
    """Plans a node like `plan_node`, except that node 0 uses `data_dir` itself."""
    plan = plan_node(data_dir, number)
    return plan if number else replace(plan, data_dir=data_dir)
