import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from peatnode.ipc import peer_names
from peatnode.ipc.messages import PeersReply
from peatnode.ipc.peer_names import MAX_NAMES, PeerNames
from tests.support.replies import PEER

FIRST, SECOND, THIRD = ("a" * 32, "b" * 32, "c" * 32)


class Asked:
    """The sync worker, which knows the instances given."""

    def __init__(self, *known: str) -> None:
        self.count, self.known, self.is_away = 0, list(known), False

    async def __call__(self) -> PeersReply | None:
        self.count += 1
        if self.is_away:
            return None
        peers = [replace(PEER, id=f"peer-{one[0]}", instance=one) for one in self.known]
        return PeersReply((replace(PEER, instance=""), *peers), b"", ())


async def named(names: PeerNames, *origins: str) -> Sequence[str]:
    await names.learn(origins)
    return [names.name_of(one) for one in origins]


async def test_a_name_is_asked_for_once() -> None:
    asked = Asked(FIRST, SECOND)
    names = PeerNames(asked)
    assert await named(names, FIRST, SECOND) == ["peer-a", "peer-b"]
    assert await named(names, SECOND) == ["peer-b"]
    assert asked.count == 1


async def test_what_is_no_instance_is_not_asked_for() -> None:
    asked = Asked(FIRST)
    assert await named(PeerNames(asked), "", "conflict", "client:1a7") == ["", "", ""]
    assert asked.count == 0


async def test_an_instance_that_nobody_knows_is_not_asked_for_with_each_change() -> None:
    asked = Asked(FIRST)
    names = PeerNames(asked)
    for _ in range(3):
        assert await named(names, FIRST, THIRD) == ["peer-a", ""]
    assert asked.count == 1


async def test_a_new_peer_is_asked_for_at_once_if_all_others_were_known() -> None:
    asked = Asked(FIRST)
    names = PeerNames(asked)
    await names.learn([FIRST])
    asked.known.append(SECOND)
    assert await named(names, SECOND) == ["peer-b"]


async def test_it_asks_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked()
    asked.is_away = True
    names = PeerNames(asked)
    assert await named(names, FIRST) == [""]
    asked.is_away, asked.known = False, [FIRST]
    assert await named(names, FIRST) == [""]
    loop = asyncio.get_running_loop()
    later = loop.time() + peer_names.ASK_AGAIN_SECONDS
    monkeypatch.setattr(loop, "time", lambda: later)
    assert await named(names, FIRST) == ["peer-a"]


async def test_it_does_not_grow_without_end() -> None:
    asked = Asked(*(f"{number:032x}" for number in range(MAX_NAMES + 5)))
    names = PeerNames(asked)
    first, last = asked.known[0], asked.known[-1]
    assert await named(names, last) == ["peer-0"]
    assert names.name_of(first) == ""
