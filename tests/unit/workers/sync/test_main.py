"""The start of the sync worker."""

from __future__ import annotations

import time
from base64 import b64encode
from hashlib import sha256

import pytest

from peatnode.config.loading import load_config
from peatnode.protocol.connect.election import is_better
from peatnode.protocol.connect.handshake import Credentials, Member
from workers.sync.main import make_credentials

SECRET = b64encode(sha256(b"a formation of the tests").digest()).decode()


def member(started: Credentials) -> Member:
    return Member(started.node_id, started.instance, started.started, 1, "", b"", b"")


def test_a_wall_clock_that_goes_back_makes_no_process_older_than_the_one_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = load_config({"PEAT_NODE_ID": "a", "PEAT_FORMATION_SECRET": SECRET})
    monkeypatch.setattr(time, "time_ns", lambda: 2 * 10**18)
    first = make_credentials(config, bytes(32))
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    second = make_credentials(config, bytes(32))
    assert is_better(member(second), member(first))
