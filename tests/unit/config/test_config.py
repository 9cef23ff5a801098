"""What may be set, what may not, and what is said about it."""

import base64
import hashlib
import math
import random
import re
from pathlib import Path

import pytest

from peatnode.config import (
    VARIABLES,
    ExpectedPeers,
    StaticPeer,
    default_run_dir,
    flag_names,
    flag_of,
    load_config,
    read_settings,
    reread_expected_peers,
    run_dir_choices,
)
from peatnode.errors import BadConfiguration

ROOT = Path(__file__).resolve().parents[3]
BYTES = hashlib.sha256(b"a formation of the tests").digest()
OTHER_BYTES = hashlib.sha256(b"another").digest()
SECRET = base64.b64encode(BYTES).decode()
REQUIRED = {"PEAT_FORMATION_SECRET": SECRET}


def load(**env: str):
    return load_config({**REQUIRED, **env})


def complaint(**env: str) -> str:
    with pytest.raises(BadConfiguration) as caught:
        load(**env)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith((".", "peatnode=debug"))
    return text


def test_defaults() -> None:
    config = load()
    assert config.node_id == config.hostname == "peat-mesh-0"
    assert config.secret.reveal() == BYTES
    assert config.discovery == ("kubernetes",)
    assert config.static_peers == ()
    assert (config.data_dir, config.run_dir) == (Path("/data"), Path("/data/run"))
    assert (config.broker_host, config.broker_port) == ("0.0.0.0", 8081)
    assert config.quic_port == 11204
    assert config.api_token is config.read_token is None
    assert (config.log_filter, config.log_format) == ("info,peatnode=debug", "text")


def test_every_variable_empty_is_every_variable_unset() -> None:
    env = {name: "" for variable in VARIABLES for name in (variable.name, *variable.aliases)}
    assert load_config({**env, **REQUIRED}) == load_config(REQUIRED)


def test_no_default_is_wrong() -> None:
    for variable in VARIABLES:
        if variable.default is not None:
            variable.read(variable.name, variable.default)


def test_the_node_id_of_a_cluster() -> None:
    assert load(HOSTNAME="peat-mesh-2", PEAT_CLUSTER="east").node_id == "peat-mesh-2.east"


def test_aliases() -> None:
    config = load(
        PEAT_IROH_BIND_PORT="4000",
        PEAT_IROH_RELAY_URLS="https://a.example, http://b.example/x",
        RUST_LOG="warn,peat_mesh=debug",
    )
    assert config.quic_port == 4000
    assert config.relay_urls == ("https://a.example", "http://b.example/x")
    assert config.log_filter == "warn,peat_mesh=debug"
    assert load(PEAT_IROH_BIND_PORT="4000", PEAT_QUIC_PORT="5000").quic_port == 5000


def test_sources_of_peers() -> None:
    assert load(PEAT_DISCOVERY="k8s").discovery == ("kubernetes",)
    assert load(PEAT_DISCOVERY=" mDNS , static,mdns").discovery == ("mdns", "static")


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("10.0.0.7:11204", StaticPeer("", "10.0.0.7", 11204)),
        ("peat-mesh-1@host.example:1", StaticPeer("peat-mesh-1", "host.example", 1)),
        ("a.east@[fe80::1]:65535", StaticPeer("a.east", "fe80::1", 65535)),
        ("[::1]:2", StaticPeer("", "::1", 2)),
    ],
)
def test_static_peers(text: str, peer: StaticPeer) -> None:
    config = load(PEAT_DISCOVERY="static", PEAT_STATIC_PEERS=f" {text}, other:1,")
    assert config.static_peers == (peer, StaticPeer("", "other", 1))


@pytest.mark.parametrize(
    "text",
    [
        "host",
        "host:",
        ":1",
        "host:0",
        "host:65536",
        "host:x",
        "::1:2",
        "[::1]",
        "[nope]:1",
        "a@b@c:1",
    ],
)
def test_static_peers_that_are_none(text: str) -> None:
    said = complaint(PEAT_DISCOVERY="static", PEAT_STATIC_PEERS=f"good:1,{text}")
    assert "PEAT_STATIC_PEERS" in said
    assert text in said or "nope" in said


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PEAT_BROKER_PORT", "65536"),
        ("PEAT_BROKER_PORT", "-1"),
        ("PEAT_BROKER_PORT", "http"),
        ("PEAT_BROKER_PORT", "8 081"),
        ("PEAT_QUIC_PORT", "99999"),
        ("PEAT_IROH_BIND_PORT", "x"),
        ("PEAT_BROKER_HOST", "example.org"),
        ("PEAT_QUIC_HOST", "300.1.1.1"),
        ("PEAT_BROKER_WORKERS", "0"),
        ("PEAT_MAX_BODY_BYTES", "1GB"),
        ("PEAT_DISCOVERY", "dns"),
        ("PEAT_DISCOVERY", ","),
        ("PEAT_RELAY_URLS", "relay.example"),
        ("PEAT_LOG", "loud"),
        ("PEAT_LOG", "info,=debug"),
        ("RUST_LOG", "info,peatnode="),
        ("PEAT_LOG_FORMAT", "xml"),
        ("HOSTNAME", "a b"),
        ("HOSTNAME", "a/b"),
        ("HOSTNAME", "ä" * 127),
        ("PEAT_CLUSTER", "a,b"),
        ("PEAT_MDNS_INTERFACES", "eth0"),
        ("PEAT_EXPECTED_PEERS", "1025"),
        ("PEAT_EXPECTED_PEERS", "b/c"),
        ("PEAT_EXPECTED_PEERS", ","),
        ("PEAT_PEER_RETENTION", "0"),
        ("PEAT_PEER_RETENTION", "7"),
        ("PEAT_PEER_RETENTION", "59s"),
        ("PEAT_PEER_RETENTION", "3651d"),
        ("PEAT_PEER_RETENTION", "7 d"),
        ("PEAT_PEER_RETENTION", "Never"),
    ],
)
def test_a_bad_value_is_named_with_its_variable(name: str, text: str) -> None:
    said = complaint(**{name: text})
    assert text in said
    assert ("PEAT_LOG" if name == "RUST_LOG" else name) in said


def test_the_peers_that_a_node_expects() -> None:
    assert load().expected_peers == ExpectedPeers(0, ())
    assert load(PEAT_EXPECTED_PEERS=" 3 ").expected_peers == ExpectedPeers(3)
    named = load(PEAT_EXPECTED_PEERS="c.east, a.east,,b.east,a.east").expected_peers
    assert named.others("b.east") == ("a.east", "c.east")
    assert (named.count("b.east"), named.count("other")) == (2, 3)
    assert ExpectedPeers(3).others("a") == ()
    assert ExpectedPeers(3).count("a") == 3
    assert load(PEAT_EXPECTED_PEERS="a").expected_peers.count("a") == 0
    assert "1024" in complaint(PEAT_EXPECTED_PEERS=",".join(f"n{n}" for n in range(1025)))


def test_the_file_of_expected_peers_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "peers"
    path.write_text("a\nb\n")
    config = load(PEAT_EXPECTED_PEERS_FILE=str(path))
    assert config.expected_peers == ExpectedPeers(0, ("a", "b"))
    assert config.expected_peers_file == path
    assert load(PEAT_EXPECTED_PEERS="2").expected_peers_file is None
    _, settings = read_settings({**REQUIRED, "PEAT_EXPECTED_PEERS_FILE": str(path)}, {})
    (setting,) = [each for each in settings if each.name == "PEAT_EXPECTED_PEERS"]
    assert (setting.value, setting.origin) == ("a b", f"file {path}")
    path.write_text("a,b,c\n")
    assert reread_expected_peers(path) == ExpectedPeers(0, ("a", "b", "c"))
    path.write_text("a/b")
    with pytest.raises(BadConfiguration, match=r"PEAT_EXPECTED_PEERS_FILE.*a/b"):
        reread_expected_peers(path)
    path.unlink()
    with pytest.raises(BadConfiguration, match=r"PEAT_EXPECTED_PEERS_FILE.*No such file"):
        reread_expected_peers(path)


def test_a_list_and_a_file_of_it(tmp_path: Path) -> None:
    path = tmp_path / "peers"
    path.write_text("a")
    names = ("PEAT_EXPECTED_PEERS", "PEAT_EXPECTED_PEERS_FILE")
    both = dict(zip(names, ("2", str(path)), strict=True))
    assert "PEAT_EXPECTED_PEERS and PEAT_EXPECTED_PEERS_FILE" in complaint(**both)
    with pytest.raises(BadConfiguration, match="--expected-peers and --expected-peers-file"):
        load_config(REQUIRED, both)
    config = load_config({**REQUIRED, names[0]: "2"}, {names[1]: str(path)})
    assert (config.expected_peers.node_ids, config.expected_peers_file) == (("a",), path)
    config = load_config({**REQUIRED, names[1]: str(path)}, {names[0]: "2"})
    assert (config.expected_peers, config.expected_peers_file) == (ExpectedPeers(2), None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7d", 604_800), ("12h", 43_200), ("90m", 5400), ("60s", 60), ("never", math.inf)],
)
def test_how_long_a_peer_is_remembered(text: str, seconds: float) -> None:
    assert load(PEAT_PEER_RETENTION=text).peer_retention == seconds
    assert load().peer_retention == 7 * 86_400


def test_what_kubernetes_injects_is_recognized() -> None:
    assert "enableServiceLinks" in complaint(PEAT_BROKER_PORT="tcp://10.0.0.1:8081")


def test_no_secret() -> None:
    with pytest.raises(BadConfiguration, match=r"PEAT_FORMATION_SECRET .*peatnode secret"):
        load_config({})


@pytest.mark.parametrize(
    "text", ["not base64!", "abc", base64.b64encode(bytes(15)).decode(), "ünï"]
)
def test_a_bad_secret_is_not_shown(text: str) -> None:
    said = complaint(PEAT_FORMATION_SECRET=text)
    assert "PEAT_FORMATION_SECRET" in said
    assert text not in said
    assert "peatnode secret" in said


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        (bytes(16), "the same byte"),
        (b"\xa7" * 32, "the same byte"),
        (b"\x01\x02\xa3\x04\xe5\x06\xf7" * 5, "only 7 different bytes"),
        (bytes(range(32)), "count"),
        (bytes(range(255, 239, -1)), "count"),
        (b"correct horse battery staple", "a text"),
        (b"0123456789abcdef0123456789abcdef", "a text"),
        (b"two lines of\nsome words\n", "a text"),
    ],
)
def test_a_secret_that_somebody_can_guess_is_refused(secret: bytes, said: str) -> None:
    text = base64.b64encode(secret).decode()
    answer = complaint(PEAT_FORMATION_SECRET=text)
    assert said in answer
    assert answer.startswith("PEAT_FORMATION_SECRET holds ")
    assert "`peatnode secret`" in answer
    assert text not in answer
    assert secret.decode("latin-1") not in answer


PUBLISHED = ("README.md", "docs/**/*.md", "chart/**/*.*", "tests/vectors/*.json")


def test_a_secret_that_can_be_copied_from_here_is_refused() -> None:
    files = [path for pattern in PUBLISHED for path in ROOT.glob(pattern)]
    named = re.compile(r"secret\"?\s*[=:]\s*[\"']?([A-Za-z0-9+/]{22,}={0,2})", re.IGNORECASE)
    found = {text for path in files for text in named.findall(path.read_text(errors="replace"))}
    assert len(found) >= 3
    for text in found:
        assert "PEAT_FORMATION_SECRET" in complaint(PEAT_FORMATION_SECRET=text), text


def test_random_secrets_of_every_length_are_taken(rng: random.Random) -> None:
    for _ in range(500):
        secret = rng.randbytes(rng.randint(16, 64))
        assert load(PEAT_FORMATION_SECRET=base64.b64encode(secret).decode())


@pytest.mark.parametrize("token", ["short", "with space inside", "ünïcödé-token", "x" * 513])
def test_a_bad_token_is_not_shown(token: str) -> None:
    said = complaint(PEAT_API_TOKEN=token)
    assert "PEAT_API_TOKEN" in said
    assert token not in said


def test_a_token_that_only_reads_needs_the_other() -> None:
    assert "PEAT_API_TOKEN" in complaint(PEAT_READ_TOKEN="read-only-token")


def test_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    (tmp_path / "token").write_text("  a-long-token\n")
    config = load_config(
        {
            "PEAT_FORMATION_SECRET_FILE": str(tmp_path / "secret"),
            "PEAT_API_TOKEN_FILE": str(tmp_path / "token"),
        }
    )
    assert config.secret.reveal() == BYTES
    assert config.api_token is not None
    assert config.api_token.reveal() == b"a-long-token"


def test_a_secret_and_its_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    said = complaint(PEAT_FORMATION_SECRET_FILE=str(tmp_path / "secret"))
    assert "PEAT_FORMATION_SECRET and PEAT_FORMATION_SECRET_FILE" in said


def test_files_that_hold_no_secret(tmp_path: Path) -> None:
    def say(path: Path) -> str:
        with pytest.raises(BadConfiguration, match="PEAT_FORMATION_SECRET_FILE") as caught:
            load_config({"PEAT_FORMATION_SECRET_FILE": str(path)})
        assert SECRET not in str(caught.value)
        return str(caught.value)

    assert "No such file" in say(tmp_path / "missing")
    assert "directory" in say(tmp_path)
    (tmp_path / "empty").write_text("\n")
    assert "empty" in say(tmp_path / "empty")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert "not text" in say(tmp_path / "binary")
    assert "too long" in say(Path("/dev/zero"))
    (tmp_path / "open").write_text(SECRET)
    (tmp_path / "open").chmod(0o666)
    assert "chmod 600" in say(tmp_path / "open")


def test_a_flag_goes_before_the_environment(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(base64.b64encode(OTHER_BYTES).decode())
    env = {**REQUIRED, "PEAT_QUIC_PORT": "1"}
    flags = {"PEAT_QUIC_PORT": "2", "PEAT_FORMATION_SECRET_FILE": str(tmp_path / "secret")}
    config = load_config(env, flags)
    assert config.quic_port == 2
    assert config.secret.reveal() == OTHER_BYTES
    assert load_config(env, {"PEAT_QUIC_PORT": ""}).quic_port == 1
    with pytest.raises(BadConfiguration, match="--quic-port"):
        load_config(env, {"PEAT_QUIC_PORT": "x"})


def test_where_each_setting_is_from(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-long-token")
    env = {**REQUIRED, "RUST_LOG": "warn", "PEAT_API_TOKEN_FILE": str(tmp_path / "token")}
    _, settings = read_settings(env, {"PEAT_BROKER_PORT": "9"})
    found = {setting.name: (setting.value, setting.origin) for setting in settings}
    assert found["PEAT_FORMATION_SECRET"] == ("(hidden)", "environment PEAT_FORMATION_SECRET")
    assert found["PEAT_API_TOKEN"] == ("(hidden)", f"file {tmp_path / 'token'}")
    assert found["PEAT_LOG"] == ("warn", "environment RUST_LOG")
    assert found["PEAT_BROKER_PORT"] == ("9", "flag --broker-port")
    assert found["PEAT_QUIC_PORT"] == ("11204", "default")
    assert found["PEAT_READ_TOKEN"] == ("", "default")


def test_naming_peers_means_looking_for_them() -> None:
    config = load(PEAT_DISCOVERY="mdns", PEAT_STATIC_PEERS="a:1")
    assert config.discovery == ("mdns", "static")


def test_a_run_directory_always_fits_a_socket() -> None:
    assert default_run_dir(Path("/data")) == Path("/data/run")
    long = default_run_dir(Path("/" + "x" * 200))
    assert len(str(long / "supervisor.sock")) < 108
    assert long != default_run_dir(Path("/" + "x" * 201))
    assert load(PEAT_DATA_DIR="/" + "x" * 200).run_dir == long
    assert run_dir_choices(Path("/" + "x" * 200)) == (long,)


def test_a_disk_that_takes_no_files_has_another_run_directory() -> None:
    first, second = run_dir_choices(Path("/data"))
    assert first == default_run_dir(Path("/data")) == Path("/data/run")
    assert second.parent == Path("/tmp")
    assert second != run_dir_choices(Path("/other"))[1]


def test_nothing_secret_in_a_repr() -> None:
    text = repr(load(PEAT_API_TOKEN="a-long-token"))
    assert SECRET not in text
    assert repr(BYTES) not in text
    assert "a-long-token" not in text


def test_flags_are_unique() -> None:
    flags = [flag_of(name) for variable in VARIABLES for name in flag_names(variable)]
    assert len(set(flags)) == len(flags)


def test_no_code_reads_a_variable_that_is_not_in_the_table() -> None:
    known = {"PEAT_", "PEAT_URL"}  # the second is the command line's: docs/cli.md
    for variable in VARIABLES:
        known |= {variable.name, *variable.aliases}
        known |= {f"{variable.name}_FILE"} if variable.has_file else set()
    root = Path(__file__).parents[3]
    sources = [
        path for folder in ("peatnode", "workers") for path in root.glob(f"{folder}/**/*.py")
    ]
    assert sources
    for path in sources:
        named = set(re.findall(r"\bPEAT_[A-Z0-9_]*", path.read_text(encoding="utf-8")))
        assert named <= known, (path, named - known)


def test_the_directory_of_the_service_account(tmp_path: Path) -> None:
    assert str(load().service_account_dir) == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert load(PEAT_SERVICE_ACCOUNT_DIR=str(tmp_path)).service_account_dir == tmp_path
    flags = {"PEAT_SERVICE_ACCOUNT_DIR": str(tmp_path / "flag")}
    config = load_config({**REQUIRED, "PEAT_SERVICE_ACCOUNT_DIR": str(tmp_path)}, flags)
    assert config.service_account_dir == tmp_path / "flag"


def test_the_documentation_says_every_variable_as_it_is() -> None:
    page = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text(encoding="utf-8")
    for variable in VARIABLES:
        names = f"`{variable.name}`" + (" (file)" if variable.has_file else "")
        names += "".join(f", also `{alias}`" for alias in variable.aliases)
        default = f"`{variable.default}`" if variable.default else ""
        shown = "required" if variable.default is None else default
        row = f"| {names} | {shown} | {variable.help} |".replace("|  |", "| |")
        assert row in page, row


@pytest.mark.parametrize("name", ["HOSTNAME", "PEAT_CLUSTER", "PEAT_EXPECTED_PEERS"])
@pytest.mark.parametrize("char", ["\x1b", "\x9b", "\u202e", "\u200b"], ids=ascii)
def test_a_name_has_no_character_that_is_not_shown(name: str, char: str) -> None:
    said = complaint(**{name: f"a{char}b"})
    assert name in said
    assert said.isprintable()


@pytest.mark.parametrize(
    "text", ["a=b@10.0.0.7:1", "a\x1bb@10.0.0.7:1", "pe\x9ber:11204"], ids=ascii
)
def test_a_static_peer_has_a_name_that_a_node_can_have(text: str) -> None:
    assert "PEAT_STATIC_PEERS" in complaint(PEAT_STATIC_PEERS=text)


def test_the_node_id_as_a_whole_is_no_longer_than_peers_accept() -> None:
    assert load(HOSTNAME="h" * 126, PEAT_CLUSTER="c" * 126).node_id == "h" * 126 + "." + "c" * 126
    assert "253" in complaint(HOSTNAME="h" * 127, PEAT_CLUSTER="c" * 126)
