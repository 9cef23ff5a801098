"""Whether an update can be applied to a state, and if not, which clocks are missing."""

from collections.abc import Iterator, Sequence

from peatnode.documents.yjs.delete_set import DeleteSet
from peatnode.documents.yjs.state_vector import StateVector
from peatnode.documents.yjs.structs import Id, Struct
from peatnode.documents.yjs.update import Update


def missing_for(update: Update, sv: StateVector) -> dict[int, int] | None:
    """The clocks that a state with `sv` must reach before `update` can be applied; None if it can be applied now.

    The check follows the order in which an engine would integrate. Missing are a gap before a client's own structs,
    an unknown origin, right origin or parent, structs that wait for each other in a circle, and deletions of
    unknown clocks.
    """
    reached, missing = _integrate(update, sv)
    for client, end in _last_deletions(update.delete_set):
        if end > reached.get(client, sv.get(client, 0)):
            missing[client] = max(end, missing.get(client, 0))
    return missing or None


def _last_deletions(delete_set: DeleteSet) -> Iterator[tuple[int, int]]:
    for client, ranges in delete_set.ranges.items():
        yield client, ranges[-1][1]


def _integrate(update: Update, sv: StateVector) -> tuple[dict[int, int], dict[int, int]]:
    """The clock that each client of the update reaches, and the missing clocks that the rest waits for."""
    reached = {client: sv.get(client, 0) for client in update.structs}
    position = dict.fromkeys(update.structs, 0)
    waiting: dict[int, list[tuple[int, int]]] = {}  # client -> (clock it must pass, waiting client)
    ready = list(update.structs)
    while ready:
        client = ready.pop()
        before = reached[client]
        blocker = _advance(client, update.structs[client], position, reached, sv)
        if blocker is not None:
            waiting.setdefault(blocker[0], []).append((blocker[1], client))
        if reached[client] > before and client in waiting:
            still = [w for w in waiting[client] if w[0] >= reached[client]]
            ready += (other for clock, other in waiting[client] if clock < reached[client])
            waiting[client] = still
    missing: dict[int, int] = {}
    for client, waits in waiting.items():
        if waits:
            missing[client] = max(clock + 1 for clock, _ in waits)
    return reached, missing


def _advance(
    client: int,
    structs: Sequence[Struct],
    position: dict[int, int],
    reached: dict[int, int],
    sv: StateVector,
) -> Id | None:
    """Integrates structs of `client` until one must wait. Returns the id that it waits for."""
    at, end = position[client], reached[client]
    blocker: Id | None = None
    for at in range(at, len(structs)):  # noqa: B020 (continues where it stopped)
        struct = structs[at]
        if struct.end <= end:
            continue
        if struct.clock > end:
            blocker = (client, struct.clock - 1)
            break
        blocker = _unmet(client, struct, reached, sv)
        if blocker is not None:
            break
        end = struct.end
    position[client] = at
    reached[client] = end
    return blocker


def _unmet(client: int, struct: Struct, reached: dict[int, int], sv: StateVector) -> Id | None:
    """The first id that the struct needs and that is unknown. Ids of its own client are known, because its clock is."""
    parent = struct.parent
    needs = (struct.origin, struct.right_origin, None if isinstance(parent, str) else parent)
    for need in needs:
        if need is not None and need[0] != client:
            known = reached.get(need[0])
            if need[1] >= (sv.get(need[0], 0) if known is None else known):
                return need
    return None
