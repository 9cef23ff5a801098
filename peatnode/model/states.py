"""The states that status and metrics report. Their values are part of the API and of the messages."""

from enum import StrEnum


class ChangeAction(StrEnum):
    """The effect of a change on its document."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class PeerStatus(StrEnum):
    """The state of the connection to a peer."""

    DISCOVERED = "discovered"
    """No dial has been made yet."""
    DIALLING = "dialling"
    CONNECTED = "connected"
    WAITING = "waiting"
    """A dial failed or the connection ended; another dial follows later."""
    ABSENT = "absent"
    """It is known from earlier connections, or expected, and is not connected."""
    REFUSED = "refused"
    """It did not prove its membership of the formation,
    or a node of another name answers at every address."""
    OURSELVES = "ourselves"
    """Its addresses lead to this node itself."""
    BLOCKED = "blocked"
    """An operator of this node has blocked it: it is not dialled, and its connections are refused."""


class WorkerStatus(StrEnum):
    """The state of a worker process."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    """It exited unexpectedly, and is restarted after a delay."""
    STOPPING = "stopping"
    STOPPED = "stopped"


class SourceStatus(StrEnum):
    """Whether a source of discovery can see its peers."""

    STARTING = "starting"
    """It has not listed all its peers yet."""
    WATCHING = "watching"
    FAILING = "failing"
