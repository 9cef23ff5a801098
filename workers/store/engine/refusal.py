"""The error with which a request is refused."""

from peatnode.errors import PeatnodeError
from peatnode.ipc.messages import Failure


class RequestRefused(PeatnodeError):
    """A request is refused. It becomes a `Failed` reply."""

    def __init__(self, code: Failure, message: str, where: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.where = where
