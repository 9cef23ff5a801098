"""A Yjs update (format v1) as a value: structs of each client, and a delete set.

Source of the format: Yjs, src/utils/encoding.js and UpdateDecoder.js.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from peatnode.documents.limits import CLIENT_LIMITS, UpdateLimits
from peatnode.documents.yjs.decode_structs import read_structs
from peatnode.documents.yjs.delete_set import (
    EMPTY_DELETE_SET,
    DeleteSet,
    encode_delete_set,
    read_delete_set,
)
from peatnode.documents.yjs.lib0 import var_uint
from peatnode.documents.yjs.structs import SKIP, Struct
from peatnode.errors import MalformedUpdate


@dataclass(frozen=True, slots=True)
class Update:
    """A decoded update. The sequences in it must not be changed."""

    structs: Mapping[int, Sequence[Struct]] = field(default_factory=dict)
    """Client to its structs by ascending clock: at least one, without overlaps, with gaps at most."""
    delete_set: DeleteSet = EMPTY_DELETE_SET

    @property
    def is_empty(self) -> bool:
        return not self.structs and self.delete_set.is_empty

    def state_vector(self) -> dict[int, int]:
        """Client to the end of its first run of clocks without a gap.

        For a whole document, in which every run begins at 0, this is the state vector.
        """
        return {client: _first_run_end(structs) for client, structs in self.structs.items()}

    def first_clocks(self) -> dict[int, int]:
        """Client to its lowest clock in this update."""
        return {client: structs[0].clock for client, structs in self.structs.items()}


EMPTY_UPDATE = Update()


def _first_run_end(structs: Sequence[Struct]) -> int:
    end = structs[0].clock
    for struct in structs:
        if struct.clock != end:
            break
        end += struct.length
    return end


def decode_update(data: bytes, limits: UpdateLimits = CLIENT_LIMITS) -> Update:
    """Decodes an update strictly. Raises MalformedUpdate, and nothing else.

    Besides bad syntax, it refuses subdocuments, unknown contents and types, structs without length, references of a
    client to its own future, a client that occurs twice, and everything beyond `limits`.
    The delete set of the result includes the clocks of GC structs and deleted contents, so that equal content has an
    equal delete set.
    """
    if len(data) > limits.max_bytes:
        raise MalformedUpdate("update too large", 0)
    try:
        structs, implied, pos = read_structs(data, limits)
        named, pos = read_delete_set(data, pos, limits)
    except IndexError:
        raise MalformedUpdate("truncated", len(data)) from None
    except UnicodeDecodeError:
        raise MalformedUpdate("invalid UTF-8") from None
    if pos != len(data):
        raise MalformedUpdate("bytes after the update", pos)
    if not named and not implied:
        return Update(structs)
    return Update(structs, DeleteSet.from_ranges(named + implied))


def encode_update(update: Update) -> bytes:
    """The canonical encoding: clients descend, the delete set is sorted, and gaps are SKIP structs."""
    clients = sorted(update.structs, reverse=True)
    parts = [var_uint(len(clients))]
    for client in clients:
        structs = update.structs[client]
        body, count = _encode_structs(structs)
        parts += (var_uint(count), var_uint(client), var_uint(structs[0].clock))
        parts += body
    parts.append(encode_delete_set(update.delete_set))
    return b"".join(parts)


def _encode_structs(structs: Sequence[Struct]) -> tuple[list[bytes], int]:
    body: list[bytes] = []
    end = structs[0].clock
    for struct in structs:
        if struct.clock != end:
            body.append(bytes((SKIP,)) + var_uint(struct.clock - end))
        body.append(struct.raw)
        end = struct.clock + struct.length
    return body, len(body)
