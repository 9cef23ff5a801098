"""The neighbours of peers that are shown: each peer has a fair share of a bounded room."""

from __future__ import annotations

from collections.abc import Sequence

MAX_SHOWN_BYTES = 2 * 1024 * 1024
"""Of all names together, each with NAME_OVERHEAD: a mesh of 200 nodes with names of 30 bytes is shown whole.
What `GET /topology` makes of it has about 10 MB at most."""

NAME_OVERHEAD = 16
"""Bytes that a name costs beside its own: short ones are many."""

Names = tuple[str, ...]


def fair_shares(lists: Sequence[Names], room: int = MAX_SHOWN_BYTES) -> list[Names]:
    """The lists, cut so that all of them fit: what a short one leaves is shared by the longer ones."""
    costs = [sum(map(len, names)) + NAME_OVERHEAD * len(names) for names in lists]
    if sum(costs) <= room:
        return list(lists)
    shown: list[Names] = [()] * len(lists)
    left = len(lists)
    for cost, at in sorted((cost, at) for at, cost in enumerate(costs)):
        share = room // left
        shown[at] = lists[at] if cost <= share else _first(lists[at], share)
        room -= min(cost, share)
        left -= 1
    return shown


def _first(names: Names, room: int) -> Names:
    for count, name in enumerate(names):
        room -= len(name) + NAME_OVERHEAD
        if room < 0:
            return names[:count]
    return names
