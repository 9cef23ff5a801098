"""Why a question is not answered."""

from peatnode.errors import PeatnodeError
from peatnode.ipc.messages import Failure


class RequestRefused(PeatnodeError):
    """Becomes a `Failed`."""

    def __init__(self, code: Failure, message: str, where: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.where = where
