"""One live document in y-py. Only this module imports y-py and catches its panics."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import Any

import y_py

from peatnode.documents.json.diff import Edits, Splice, TextSplice, plan
from peatnode.documents.json.size import ChangeLimits
from peatnode.documents.json.target import target_of
from peatnode.documents.json.value import (
    ARRAY,
    ROOT,
    TEXT,
    Shape,
    build,
    dump,
    flatten,
    markers,
)
from peatnode.documents.yjs.any_value import Json, normal_number
from peatnode.errors import BadValue
from peatnode.ipc.messages import EngineKind

TYPE_BYTES = 4096
"""Lower bound of the memory that a fetched type leaks when its document is dropped."""


class EnginePanic(Exception):
    """y-py failed. The document may be half changed and must be dropped."""


def _translated(error: BaseException) -> BaseException:
    """Any error of y-py as an EnginePanic. Its own panic is a BaseException that cannot be imported."""
    if isinstance(error, (BadValue, MemoryError, KeyboardInterrupt, SystemExit)):
        return error
    return EnginePanic(f"{type(error).__name__}: {error}"[:200])


class LiveDocument:
    """One document in y-py.

    Types are fetched once and kept, because each fetch leaks memory, and views of a temporary type corrupt memory.
    """

    def __init__(self, client: int, states: Iterable[bytes]) -> None:
        """Loads the updates of a state. `client` is the Yjs client id of changes. Raises EnginePanic."""
        self.client = client
        self.version = 0
        self.state_bytes = 0
        self._arrays: dict[str, Any] = {}
        self._texts: dict[str, Any] = {}
        try:
            # with utf8, the default, text beyond ASCII gets wrong ids
            self._doc: Any = y_py.YDoc(client_id=client, offset_kind="utf16")
            for state in states:
                self._apply(state)
            self._root: Any = self._doc.get_map(ROOT)
        except BaseException as error:
            raise _translated(error) from None

    @property
    def weight(self) -> int:
        """Estimated bytes of memory, and of what leaks when the document is dropped."""
        types = 1 + len(self._arrays) + len(self._texts)
        return types * TYPE_BYTES + 4 * self.state_bytes

    def _apply(self, update: bytes) -> None:
        y_py.apply_update(self._doc, update)
        self.state_bytes += len(update)

    def apply(self, update: bytes) -> bytes:
        """Applies an update. Returns the JSON value after it. Raises EnginePanic."""
        try:
            self._apply(update)
            return dump(build(self._shape()))
        except BaseException as error:
            raise _translated(error) from None

    def value(self) -> bytes:
        """The JSON value. Raises EnginePanic."""
        try:
            return dump(build(self._shape()))
        except BaseException as error:
            raise _translated(error) from None

    def change(self, kind: EngineKind, body: bytes, limits: ChangeLimits) -> tuple[bytes, bytes]:
        """Makes a change. Returns the update, which is empty if nothing changes, and the JSON value after it.

        Raises BadValue for a change that the document cannot have, EnginePanic.
        """
        try:
            shape = self._shape()
            present = build(shape)
            target = target_of(kind, present, body, limits)
            value = dump(target)
            limits.check_result(present, target, value)
            del present
            edits = plan(self._shape_towards(shape, target), target)
            if edits.is_empty:
                return b"", value
            before = y_py.encode_state_vector(self._doc)
            self._carry_out(edits)
            update: bytes = y_py.encode_state_as_update(self._doc, before)
            self.state_bytes += len(update)
            return update, value
        except BaseException as error:
            raise _translated(error) from None

    def _shape(self) -> Shape:
        leaves = {key: _normal(leaf) for key, leaf in self._root.items()}
        arrays = {name: self._elements(name) for name in markers(leaves, ARRAY)}
        texts = {name: str(self._text(name)) for name in markers(leaves, TEXT)}
        return Shape(leaves, arrays, texts)

    def _shape_towards(self, shape: Shape, target: dict[str, Json]) -> Shape:
        """`shape` with the root arrays that only `target` names: they may hold old elements."""
        hidden = [name for name in flatten(target).arrays if name not in shape.arrays]
        if not hidden:
            return shape
        arrays = {name: self._elements(name) for name in hidden}
        return Shape(shape.leaves, {**shape.arrays, **arrays}, shape.texts)

    def _elements(self, name: str) -> list[Json]:
        items = self._array(name)
        return [_normal(item) for item in items]

    def _array(self, name: str) -> Any:
        if name not in self._arrays:
            self._arrays[name] = self._doc.get_array(name)
        return self._arrays[name]

    def _text(self, name: str) -> Any:
        if name not in self._texts:
            self._texts[name] = self._doc.get_text(name)
        return self._texts[name]

    def _carry_out(self, edits: Edits) -> None:
        arrays = {name: self._array(name) for name in edits.arrays}
        texts = {name: self._text(name) for name in edits.texts}
        with self._doc.begin_transaction() as txn:
            for key in edits.drop_leaves:
                self._root.pop(txn, key)
            for key, leaf in edits.set_leaves.items():
                self._root.set(txn, key, leaf)
            for name, splices in edits.arrays.items():
                _splice_array(txn, arrays[name], splices)
            for name, splice in edits.texts.items():
                _splice_text(txn, texts[name], splice)


def _splice_array(txn: Any, array: Any, splices: Sequence[Splice]) -> None:
    for splice in splices:
        if splice.removed:
            array.delete_range(txn, splice.index, splice.removed)
        if splice.added:
            array.insert_range(txn, splice.index, list(splice.added))


def _splice_text(txn: Any, text: Any, splice: TextSplice) -> None:
    if splice.removed:
        text.delete_range(txn, splice.index, splice.removed)
    if splice.added:
        text.insert(txn, splice.index, splice.added)


def _normal(value: Any) -> Json:
    """A value from y-py as JSON: y-py returns integers as floats, and bytes, which JSON does not have."""
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        return normal_number(value)
    if isinstance(value, dict):
        return {str(key): _normal(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_normal(item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return b64encode(value).decode()
    return None
