"""The structs of an update in an order in which they can be integrated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from peatnode.documents.yjs.structs import Id, Struct


class NotIntegrable(Exception):
    """An item cannot be placed: it depends on unknown items or on items of two lists, or its place takes too long."""


def in_causal_order(
    structs: Mapping[int, Sequence[Struct]], known: Callable[[int], int]
) -> Iterator[tuple[int, Struct]]:
    """Yields each struct with its client after the structs that it depends on.

    `known(client)` is the clock up to which the client's structs are known; the caller integrates each struct
    before it takes the next. Raises NotIntegrable if structs are missing or wait for each other in a circle.
    """
    position = dict.fromkeys(structs, 0)
    for first in sorted(
        structs, reverse=True
    ):  # as in Yjs; concurrent items are compared least often
        stack: list[tuple[int, int]] = [(first, structs[first][-1].end)]
        while stack:
            client, until = stack[-1]
            at = position[client]
            if known(client) >= until:
                stack.pop()
                continue
            if at == len(structs[client]):
                raise NotIntegrable(f"client {client} has no clock {until - 1}")
            struct = structs[client][at]
            if struct.clock != known(client):
                raise NotIntegrable(f"client {client} has a gap before clock {struct.clock}")
            need = _unmet(client, struct, known)
            if need is None:
                position[client] = at + 1
                yield client, struct
            elif need[0] not in position or any(need[0] == waiting for waiting, _ in stack):
                raise NotIntegrable(f"clock {need[1]} of client {need[0]} is missing")
            else:
                stack.append((need[0], need[1] + 1))


def _unmet(client: int, struct: Struct, known: Callable[[int], int]) -> Id | None:
    """The first unknown id that the struct needs."""
    origin, right_origin, parent = struct.origin, struct.right_origin, struct.parent
    if origin is not None and origin[0] != client and origin[1] >= known(origin[0]):
        return origin
    if (
        right_origin is not None
        and right_origin[0] != client
        and right_origin[1] >= known(right_origin[0])
    ):
        return right_origin
    if isinstance(parent, tuple) and parent[0] != client and parent[1] >= known(parent[0]):
        return parent
    return None
