from dataclasses import replace

import pytest

from peatnode.cli.documents.local_api import api_of, url_of
from peatnode.cli.errors import CliError
from peatnode.cli.exits import Exit
from peatnode.cli.target import RemoteNode
from peatnode.ipc.messages import NodeReply, WorkerState

BROKER = WorkerState("broker", "ready", 7, 0, 0, 1, 0.0, 1.0, "")
NODE = NodeReply(
    node_id="n",
    cluster="",
    instance="",
    device_id="",
    endpoint_id="",
    version="",
    pid=1,
    started_at=1.0,
    uptime_seconds=1.0,
    data_dir="/data",
    broker_address="0.0.0.0:8081",
    quic_port=11204,
    discovery=(),
    has_token=False,
    is_stopping=False,
    supervisor_memory_bytes=1,
    workers=(BROKER,),
    problems=(),
)


@pytest.mark.parametrize(
    ("listening", "url"),
    [
        ("127.0.0.1:8081", "http://127.0.0.1:8081"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:8081", "http://[::1]:8081"),
        ("[fd00::7]:8081", "http://[fd00::7]:8081"),
        ("10.0.0.7:8081", "http://10.0.0.7:8081"),
    ],
)
def test_where_to_reach_what_listens(listening: str, url: str) -> None:
    assert url_of(listening) == url


def test_the_token_goes_along() -> None:
    assert api_of(replace(NODE, has_token=True), "t") == RemoteNode("http://127.0.0.1:8081", "t")
    assert api_of(NODE, "") == RemoteNode("http://127.0.0.1:8081", "")


@pytest.mark.parametrize(
    ("node", "status", "said"),
    [
        (replace(NODE, has_token=True), Exit.UNAUTHORIZED, "which requires a token"),
        (
            replace(NODE, workers=(replace(BROKER, state="waiting"),)),
            Exit.UNREACHABLE,
            "but the broker is waiting",
        ),
        (replace(NODE, workers=()), Exit.UNREACHABLE, "but the broker is missing"),
    ],
)
def test_where_it_cannot_be_asked_a_sentence_says_why(
    node: NodeReply, status: Exit, said: str
) -> None:
    with pytest.raises(CliError) as raised:
        api_of(node, "")
    assert raised.value.exit_code == status
    assert raised.value.message.endswith(said)
    assert raised.value.advice
