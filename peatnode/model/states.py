"""The states that are shown to people and programs, by the words that are on the wire."""

from enum import StrEnum


class ChangeAction(StrEnum):
    """What a change did to its document."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class PeerStatus(StrEnum):
    """How far the connection to a peer is."""

    DISCOVERED = "discovered"
    """It is not dialled yet."""
    DIALLING = "dialling"
    CONNECTED = "connected"
    WAITING = "waiting"
    """A dial failed or the connection ended; it is dialled again later."""
    REFUSED = "refused"
    """It could not prove that it belongs to the formation, or has another name at every address."""


class WorkerStatus(StrEnum):
    """Where a worker process is in its life."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    """It ended, and is started again after a delay."""
    STOPPING = "stopping"
    STOPPED = "stopped"


class SourceStatus(StrEnum):
    """Whether a source of discovery can see its peers."""

    STARTING = "starting"
    """It has not looked to the end yet."""
    WATCHING = "watching"
    FAILING = "failing"
