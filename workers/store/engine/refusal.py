"""The error with which a request is refused, and the answer while the engine is away."""

from peatnode.errors import PeatnodeError
from peatnode.ipc.messages import Failed, Failure


class RequestRefused(PeatnodeError):
    """A request is refused. It becomes a `Failed` reply."""

    def __init__(self, code: Failure, message: str, where: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.where = where


ENGINE_AWAY = Failed(Failure.UNAVAILABLE, "the engine is being restarted; try again in a moment")
