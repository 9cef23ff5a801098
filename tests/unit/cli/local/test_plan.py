import base64
import hashlib
from pathlib import Path

from peatnode.cli.local.plan import plan_dev, plan_node
from peatnode.config import load_config

BASE = Path("/x")
GIVEN = {"PATH": "/bin", "HOSTNAME": "laptop"}
SECRET = {"PEAT_FORMATION_SECRET": base64.b64encode(hashlib.sha256(b"mine").digest()).decode()}


def test_nodes_of_a_mesh_share_nothing_but_the_secret() -> None:
    plans = [plan_node(BASE, number) for number in range(5)]
    for field in ("name", "api_port", "quic_port", "data_dir"):
        assert len({getattr(plan, field) for plan in plans}) == 5
    assert {plan.secret_file for plan in plans} == {BASE / "formation-secret"}
    first = plans[0]
    assert (first.name, first.api_port, first.quic_port) == ("peat-mesh-0", 8081, 11204)


def test_what_a_node_of_many_is_told_is_its_own() -> None:
    given = {
        **GIVEN,
        **SECRET,
        "PEAT_BROKER_PORT": "1",
        "PEAT_RUN_DIR": "/r",
        "PEAT_DATA_DIR": "/d",
    }
    config = load_config(plan_node(BASE, 2).environment(given, is_one_of_many=True))
    assert (config.node_id, config.broker_port, config.quic_port) == ("peat-mesh-2", 8083, 11206)
    assert config.data_dir == BASE / "peat-mesh-2"
    assert config.run_dir == BASE / "peat-mesh-2" / "run"
    assert config.broker_host == "127.0.0.1"
    assert config.mdns_interfaces == ("127.0.0.1",)
    assert config.discovery == ("mdns",)


def test_what_the_user_set_goes_before_the_defaults_of_dev() -> None:
    given = {
        **GIVEN,
        **SECRET,
        "PEAT_BROKER_PORT": "9000",
        "PEAT_DISCOVERY": "",
        "PEAT_LOG": "debug",
    }
    config = load_config(plan_dev(BASE, 0).environment(given, is_one_of_many=False))
    assert (config.node_id, config.broker_port, config.data_dir) == ("peat-mesh-0", 9000, BASE)
    assert (config.discovery, config.log_filter) == (("mdns",), "debug")


def test_static_peers_are_searched_together_with_mdns() -> None:
    given = {**SECRET, "PEAT_STATIC_PEERS": "10.0.0.7:11204"}
    config = load_config(plan_dev(BASE, 0).environment(given, is_one_of_many=False))
    assert config.discovery == ("mdns", "static")


def test_the_kept_secret_is_used_unless_one_was_given() -> None:
    plan = plan_dev(BASE, 1)
    assert plan.environment({}, True)["PEAT_FORMATION_SECRET_FILE"] == "/x/formation-secret"
    assert "PEAT_FORMATION_SECRET_FILE" not in plan.environment(SECRET, True)
    own = {"PEAT_FORMATION_SECRET_FILE": "/mine"}
    assert plan.environment(own, True)["PEAT_FORMATION_SECRET_FILE"] == "/mine"


def test_further_dev_nodes_are_in_the_directory_of_the_first() -> None:
    assert plan_dev(BASE, 0).data_dir == BASE
    assert plan_dev(BASE, 1).data_dir == BASE / "peat-mesh-1"
    assert plan_dev(BASE, 1).secret_file == plan_dev(BASE, 0).secret_file
