"""Carries out the actions of the sync machine and the dial plan:
sends, asks the store, dials, informs followers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, assert_never

from peatnode.config import ExpectedPeers
from peatnode.ipc import messages
from peatnode.logs import LogQuota
from peatnode.model.clock import ClockState, ClockVerdict
from peatnode.model.peers import DiscoveredPeer
from peatnode.protocol.connect.dial_plan import Dial, DialPlan
from peatnode.protocol.connect.handshake import Credentials, Member
from peatnode.protocol.sync import events
from peatnode.protocol.sync.events import Action, Event
from peatnode.protocol.sync.machine import SyncMachine
from peatnode.protocol.wire.errors import CloseCode
from peatnode.protocol.wire.messages import Message
from peatnode.worker.wall_clock import WallTimes, read_clock, read_steady
from workers.sync.imitations import Imitations, Problems
from workers.sync.quic.connection import PeerConnection
from workers.sync.quic.endpoint import QuicEndpoint
from workers.sync.quic.paths import socket_address
from workers.sync.quic.timer import LoopTimer
from workers.sync.store_link import StoreLink

_AT_ONCE = (CloseCode.NOT_AUTHENTICATED, CloseCode.TOO_MANY)
"""How this node closes the connection of a member before it counts."""

MAX_REMEMBERED = 1000
"""Instances whose traffic is counted beyond the end of their connections."""


@dataclass(frozen=True, slots=True)
class PastTraffic:
    """The traffic of all ended connections to an instance."""

    bytes_sent: int = 0
    bytes_received: int = 0
    last_seen: float | None = None
    """Of the steady clock; None: never."""


_NO_TRAFFIC = PastTraffic()


CLOCK_PROBLEM = "clock"
CLOCK_ADVICE = (
    "Set the clocks (NTP). Until this clock agrees with more than half of the clocks, writes that set an expiry are "
    "refused here, and no document is deleted because its expiry has passed."
)

DEVIATION_ADVICE = (
    "Set the clocks (NTP), on this node and on its peers: `peatnode peers` shows how far each peer's clock is "
    "from this one. Documents expire as much too early or too late."
)


class NodeShell:
    """The shell around SyncMachine and DialPlan. It owns their clock, timers and sockets.

    `open` sets the endpoint, whose constructor needs the shell.
    """

    def __init__(
        self,
        credentials: Credentials,
        store: Callable[[Callable[[Event], None]], StoreLink],
        randomness: Random,
        log: Any,
        problems: Problems,
        are_peers_sought: bool,
        expected: ExpectedPeers,
        retention: float,
    ) -> None:
        """`are_peers_sought`: whether the sources of discovery can find a peer. `retention`: seconds of absence
        after which a member is forgotten."""
        self._loop = asyncio.get_running_loop()
        self.times = WallTimes()
        self._loop_times = WallTimes(self._loop.time)
        self.node_id = credentials.node_id
        self.instance = credentials.instance.hex()
        self.expected = expected
        self.machine = SyncMachine(
            credentials.node_id, credentials.instance, randomness, self._loop.time(), retention
        )
        self.dial_plan = DialPlan(self.instance, randomness, credentials.node_id)
        self.store = store(self.handle)
        self.rejected: Counter[str] = Counter()
        self.topology_followers: dict[tuple[Any, int], None] = {}
        self.awareness_followers: dict[tuple[Any, int], None] = {}
        self.waiters: dict[int, tuple[Any, int]] = {}
        self.is_leaving = False
        """Whether the node says goodbye for good when it stops."""
        self._last_waiter = 0
        self._are_peers_sought = are_peers_sought
        self._are_peers_known = False
        self._clock_state = ClockState.STARTING
        self.log = log
        self._quota = LogQuota(log, self._loop.time)
        self._problems = problems
        self._imitations = Imitations(problems)
        self._endpoint: QuicEndpoint | None = None
        self._wake = LoopTimer(self._wake_up)
        self._dial_wake = LoopTimer(self._dial_due)
        self._past_traffic: dict[str, PastTraffic] = {}
        """Traffic of ended connections, by instance."""

    def now(self) -> float:
        return self._loop.time()

    @property
    def wall_offset(self) -> float:
        """Unix time minus the time of the event loop, in seconds. It changes only when the wall clock is set."""
        return self._loop_times.unix(0.0)

    def open(self, endpoint: QuicEndpoint) -> None:
        self._endpoint = endpoint
        self.handle(events.PeersExpected(self._are_peers_known, self._are_peers_sought))

    @property
    def endpoint(self) -> QuicEndpoint:
        assert self._endpoint is not None
        return self._endpoint

    # --- the machine -------------------------------------------------------------------------------

    def handle(self, event: Event) -> None:
        for action in self.machine.handle(event, self._loop.time(), read_clock()):
            self._carry_out(action)
        self._wake.set(self.machine.next_wake)

    def _wake_up(self) -> None:
        self.handle(events.WakeUp())

    def _carry_out(self, action: Action) -> None:
        match action:
            case events.Send():
                self.endpoint.send(action.peer, action.message)
            case events.AskStore():
                self.store.start_question(action.number, action.question)
            case events.Close():
                # In a later turn, because closing passes an event to the machine.
                self._loop.call_soon(self._close, action)
            case events.PeerAppeared():
                self._peer_appeared(action)
            case events.PeerVanished(node_id, instance, reason):
                about = (node_id, f"{instance} {reason}")
                self._quota.info("Peer disconnected", about, peer=node_id, reason=reason)
                self._publish_topology(messages.PeerDisconnected(node_id, instance, reason))
            case events.NeighboursChanged():
                self._publish_topology(messages.TopologyChanged(action.peer_count))
            case events.AwarenessReceived():
                self._publish_awareness(action)
            case events.ReplicasKnown():
                self._answer_waiter(action)
            case events.UpdateRefused():
                self._quota.warning(
                    "Update refused",
                    (action.peer, action.reason),
                    peer=action.peer,
                    doc=f"{action.collection}/{action.id}",
                    reason=action.reason,
                )
            case events.InstanceRefused(node_id, holder):
                about = (node_id, holder)
                self._quota.warning("Instance refused", about, peer=node_id, holder=holder)
                self._imitations.report(node_id, holder)
            case events.ClockJudged():
                self._report_clock(action.verdict, action.deviation)
            case events.MemberRemembered():
                now = self._loop.time()
                self.dial_plan.remember(action.node_id, action.addresses, now)
                self._dial_wake.set(now)  # once, however many are remembered at the start
            case events.MemberForgotten():
                key = (action.node_id, action.reason)
                self._quota.info("Peer forgotten", key, peer=action.node_id, reason=action.reason)
                self.dial_plan.forget(action.node_id)
                self._loop.call_soon(self.plan_dials)
            case events.MemberBlocked():
                self.dial_plan.block(action.node_id, self._loop.time())
                self._loop.call_soon(self.plan_dials)
            case events.DeletionsArePaused(node_id):
                self._quota.warning("Deletions of peer paused", (node_id, ""), peer=node_id)
            case events.MemberUnblocked():
                self.dial_plan.unblock(action.node_id, self._loop.time())
                self._loop.call_soon(self.plan_dials)
            case _:
                assert_never(action)

    def _report_clock(self, verdict: ClockVerdict, deviation: str) -> None:
        if verdict.is_denied:
            self._problems.raise_problem(CLOCK_PROBLEM, verdict.reason, CLOCK_ADVICE)
        elif deviation:
            self._problems.raise_problem(CLOCK_PROBLEM, deviation, DEVIATION_ADVICE)
        else:
            self._problems.clear_problem(CLOCK_PROBLEM)
        if verdict.state is not self._clock_state:
            self._clock_state = verdict.state
            about = ("", verdict.state)
            self._quota.info("Clock judged", about, state=verdict.state, reason=verdict.reason)

    def _close(self, action: events.Close) -> None:
        connection = self.endpoint.connections.get(action.peer)
        if connection is None:
            return
        if action.code == CloseCode.BLOCKED and connection.member is not None:
            node_id = connection.member.node_id
            self._quota.warning("Blocked peer refused", (node_id, ""), peer=node_id)
        self.endpoint.close(connection, action.code, action.reason)

    # --- events of the endpoint --------------------------------------------------------------------

    def peer_authenticated(self, connection: PeerConnection) -> None:
        member = connection.member
        assert member is not None
        key = connection.dial.key if connection.dial else ""
        if not self.machine.holder_of(member):  # else it is refused
            instance = member.instance.hex()
            self.dial_plan.connected(key, member.node_id, instance, self._loop.time())
        addresses = self._addresses_of(connection, member)
        self.handle(events.ConnectionUp(connection.peer, member, addresses))

    def _addresses_of(self, connection: PeerConnection, member: Member) -> tuple[str, ...]:
        """Where a peer is reached, then where discovery has found it."""
        found = self.dial_plan.discovered_peer_of(member.node_id, member.instance.hex())
        dialled = (str(connection.dial.address),) if connection.dial else ()
        others = [str(address) for address in found.addresses] if found else []
        addresses = (*dialled, self.endpoint.address_of(connection), *others)
        return tuple(dict.fromkeys(addresses))

    def _peer_appeared(self, action: events.PeerAppeared) -> None:
        connection = self.endpoint.connections[action.peer]
        assert connection.member is not None
        self._quota.info(
            "Peer connected",
            (action.node_id, action.instance),
            peer=action.node_id,
            endpoint_id=connection.member.endpoint_key.hex(),
            addresses=[self.endpoint.address_of(connection)],
        )
        self._publish_topology(messages.PeerConnected(action.node_id, action.instance))

    def message_received(self, connection: PeerConnection, message: Message) -> None:
        self.handle(events.MessageReceived(connection.peer, message, max(0.0, connection.rtt)))

    def connection_closed(self, connection: PeerConnection) -> None:
        now = self._loop.time()
        reason = connection.close_reason
        member = connection.member
        if member is None:
            self._dial_failed(connection, now)
        else:
            self._count_traffic(connection, member.instance.hex())
            self.handle(events.ConnectionDown(connection.peer, reason, connection.has_left))
            members = (c.member for c in self.endpoint.connections.values())
            if not any(other and other.instance == member.instance for other in members):
                self.dial_plan.disconnected(member.instance.hex(), reason, now)
            # One that was refused at once has left its target dialling.
            if connection.dial is not None and connection.close_code in _AT_ONCE:
                self.dial_plan.failed(connection.dial.key, reason, now, is_refused=True)
        self.plan_dials()

    def _count_traffic(self, connection: PeerConnection, instance: str) -> None:
        past = self.past_traffic_of(instance)
        self._past_traffic.pop(instance, None)
        self._past_traffic[instance] = PastTraffic(
            past.bytes_sent + connection.bytes_sent,
            past.bytes_received + connection.bytes_received,
            max(past.last_seen or 0.0, read_steady() - self.now() + connection.last_seen),
        )
        if len(self._past_traffic) > MAX_REMEMBERED:
            del self._past_traffic[next(iter(self._past_traffic))]

    def past_traffic_of(self, instance: str) -> PastTraffic:
        """The traffic of the ended connections to an instance."""
        return self._past_traffic.get(instance, _NO_TRAFFIC)

    def _dial_failed(self, connection: PeerConnection, now: float) -> None:
        code, reason = connection.close_code, connection.close_reason
        if code == CloseCode.NOT_AUTHENTICATED:
            self._log_unauthenticated(self.endpoint.address_of(connection), reason)
        dial = connection.dial
        if dial is None:
            return
        if code == CloseCode.SELF_CONNECTION:
            self.dial_plan.reached_self(dial.key, dial.address, now)
        else:
            is_refused = code == CloseCode.NOT_AUTHENTICATED
            self._note_failure(dial, reason, now, is_refused)

    def _note_failure(self, dial: Dial, reason: str, now: float, is_refused: bool) -> None:
        self.dial_plan.failed(dial.key, reason, now, is_refused=is_refused)
        target = self.dial_plan.targets.get(dial.key)
        peer = target.name if target else dial.key
        if target is None or not (target.peer.node_id or target.node_id):
            peer = self.machine.members.book.name_at(str(dial.address)) or peer
        self.handle(events.DialFailed(peer, reason, is_refused))

    def _log_unauthenticated(self, address: str, reason: str) -> None:
        host = address.rpartition(":")[0]
        about = (host, reason)
        self._quota.warning("Peer not authenticated", about, address=address, reason=reason)

    def input_rejected(self, reason: str) -> None:
        self.rejected[reason] += 1

    # --- dialling ----------------------------------------------------------------------------------

    def peer_found(self, peer: DiscoveredPeer) -> None:
        self.dial_plan.found(peer, self._loop.time())
        self.plan_dials()

    def peer_lost(self, key: str) -> None:
        self.dial_plan.lost(key)
        self.plan_dials()

    def plan_dials(self) -> None:
        self._dial_wake.set(self.dial_plan.next_due)
        are_known = self.dial_plan.has_others
        if are_known != self._are_peers_known:
            self._are_peers_known = are_known
            self.handle(events.PeersExpected(are_known, self._are_peers_sought))

    def _dial_due(self) -> None:
        for dial in self.dial_plan.take_due(self._loop.time()):
            self._dial(dial)
        self.plan_dials()

    def _dial(self, dial: Dial) -> None:
        try:
            address = socket_address(self.endpoint.family, dial.address.host, dial.address.port)
        except (ValueError, OSError) as error:
            self._note_failure(dial, str(error), self._loop.time(), is_refused=False)
            return
        self.endpoint.dial(address, dial)

    # --- followers ---------------------------------------------------------------------------------

    def wait_replicas(self, requester: tuple[Any, int], ask: messages.WaitReplicas) -> None:
        self._last_waiter += 1
        self.waiters[self._last_waiter] = requester
        self.handle(
            events.ReplicasWanted(
                self._last_waiter, ask.sequence, ask.count, ask.seconds, ask.generation
            )
        )
        if not self.machine.is_followed(ask.generation):
            self.store.reopen()

    def _answer_waiter(self, known: events.ReplicasKnown) -> None:
        connection, cause = self.waiters.pop(known.waiter)
        connection.reply(
            cause, messages.ReplicasReply(len(known.peers), known.peers, known.is_other_feed)
        )

    def _publish_topology(self, message: messages.Message) -> None:
        for connection, cause in self.topology_followers:
            connection.reply(cause, message)

    def _publish_awareness(self, received: events.AwarenessReceived) -> None:
        message = messages.AwarenessSeen(
            received.collection, received.id, received.payload, received.sender
        )
        for connection, cause in self.awareness_followers:
            connection.reply(cause, message)

    async def close(self) -> None:
        self._wake.set(None)
        self._dial_wake.set(None)
        await self.store.close()
