"""The limits of the resources that clients can use."""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.api.writes import MAX_REPLICAS, MAX_REPLICAS_SECONDS


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """Bounds that hold for every request and every connection."""

    body_bytes: int = 1024 * 1024
    """Of one document, and of one line of a bulk request."""
    uri_bytes: int = 8 * 1024
    header_bytes: int = 16 * 1024
    """Names and values of all headers together."""
    headers: int = 100
    connections: int = 4096
    header_seconds: float = 10.0
    """From the first byte of a connection or request to the end of the headers."""
    body_seconds: float = 30.0
    """For a whole body; in a bulk request, between two parts of the body."""
    keepalive_seconds: float = 75.0
    write_seconds: float = 30.0
    """How long a client may leave a response unread."""
    ask_seconds: float = 5.0
    """How long a request waits for a worker that is being restarted."""
    subscribers: int = 2048
    """Event streams and WebSockets of the feed, in this process."""
    subscriber_events: int = 1024
    """Events that wait for one subscriber; one more disconnects it."""
    subscriber_bytes: int = 2 * 1024 * 1024
    fanout_bytes: int = 64 * 1024 * 1024
    """Of events that wait for all subscribers together."""
    page_documents: int = 1000
    page_bytes: int = 4 * 1024 * 1024
    scan_documents: int = 100_000
    """Documents that one query reads. Beyond it, a sorted query is refused; others return a cursor."""
    where_clauses: int = 16
    replicas: int = MAX_REPLICAS
    replicas_seconds: float = MAX_REPLICAS_SECONDS
    bulk_writes: int = 256
    """Lines of one bulk request that are written concurrently."""
    bulk_bytes: int = 4 * 1024 * 1024
    """Bytes of these lines together, beyond the last one."""


DEFAULT_LIMITS = BrokerLimits()
