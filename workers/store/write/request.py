"""Resolves one write from HTTP or the CLI: checks its preconditions, and computes its change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from peatnode.documents.json import root_maps
from peatnode.documents.json.authors import Before, change_by
from peatnode.documents.json.diff import NO_EDITS, plan
from peatnode.documents.json.size import ChangeLimits
from peatnode.documents.json.target import target_of
from peatnode.documents.json.value import TOO_COSTLY, TOO_LARGE, TOO_MANY, Shape, build, dump
from peatnode.documents.limits import MAX_STATE_BYTES
from peatnode.documents.replica.join import has_room
from peatnode.documents.replica.record import Record
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.any_value import Json
from peatnode.documents.yjs.update import Update, encode_update
from peatnode.errors import BadValue, NumbersExhausted
from peatnode.ipc.messages import (
    EngineKind,
    EngineOutcome,
    Failure,
    OperationResult,
    WriteDocument,
    WriteKind,
    WrittenReply,
)
from workers.store.engine.client import EngineClient
from workers.store.engine.quarantine import CostlyChanges, Quarantine
from workers.store.engine.question import EngineQuestion
from workers.store.engine.refusal import RequestRefused

LIGHT_BYTES = 64 * 1024
LIGHT_VALUES = 5_000
"""A JSON Patch whose result is larger, or that visits more values, runs in a process of its own, so that the store
answers others meanwhile."""

ANY_FINGERPRINT = b"*"
"""In If-Match and If-None-Match: every document that exists."""

EXPIRY_BYTES = 128
"""The most that a document's expiry adds to its state."""

NO_ROOM = (
    f"the document would take more than {MAX_STATE_BYTES} bytes with its history: "
    "delete the document and write it again, or write a smaller one"
)


@dataclass(slots=True)
class WriteResolver:
    """Turns a write into a staged change, or into a question to the engine if only that can compute the change."""

    replica: Replica
    engine: EngineClient
    quarantine: Quarantine
    limits: ChangeLimits
    generation: Callable[[], int] = lambda: 0
    """The generation of the store, whose sequences the replies hold; 0: unknown."""
    costly: CostlyChanges = field(default_factory=CostlyChanges)

    @property
    def light_limits(self) -> ChangeLimits:
        return ChangeLimits(min(self.limits.max_bytes, LIGHT_BYTES), LIGHT_VALUES, LIGHT_VALUES)

    def write(self, key: bytes, message: WriteDocument) -> WrittenReply | EngineQuestion:
        """The reply, valid once the batch is on disk, or the question to the engine. Raises RequestRefused."""
        try:
            return self._begin(key, message)
        except NumbersExhausted as error:
            raise RequestRefused(Failure.EXHAUSTED, str(error)) from None

    def _begin(self, key: bytes, message: WriteDocument) -> WrittenReply | EngineQuestion:
        record = self.replica.live(key)
        _check_preconditions(message, record)
        if message.kind is WriteKind.DELETE:
            return self._delete(key, message, record)
        if len(message.body) > self.limits.max_bytes:
            raise RequestRefused(
                Failure.TOO_LARGE, f"a document has at most {self.limits.max_bytes} bytes of JSON"
            )
        if record is not None and self.replica.is_full(record):
            raise RequestRefused(
                Failure.TOO_LARGE,
                "the document's history is full: delete the document and write it again",
            )
        try:
            if record is None:
                return self._create(key, message)
            maps = self.replica.maps(key, record)
            if maps is not None:
                return self._change(key, message, record, maps)
        except BadValue as error:
            # the result of a whole write or merge is too large as a whole, that of a patch at one of its operations
            is_too_large = error.code == TOO_LARGE and not error.where
            code = Failure.TOO_LARGE if is_too_large else Failure.INVALID
            raise RequestRefused(code, error.message, error.where) from None
        return self._question(key, message, record)

    def _question(
        self, key: bytes, message: WriteDocument, record: Record, is_heavy: bool = False
    ) -> EngineQuestion:
        if self.quarantine.holds(key, record.incarnation):
            raise RequestRefused(
                Failure.QUARANTINED, "the document is quarantined because it broke the engine"
            )
        question = EngineQuestion(
            key,
            record,
            EngineKind(message.kind),
            message.body,
            self.replica.client_of(record.incarnation),
            is_heavy,
        )
        if self.quarantine.holds(key, record.incarnation, change_of(question)):
            raise RequestRefused(
                Failure.QUARANTINED, "this change broke the engine and was set aside"
            )
        if (why := self.costly.find(question)) is not None:
            raise RequestRefused(Failure.TOO_COSTLY, why)
        return question

    def _delete(self, key: bytes, message: WriteDocument, record: Record | None) -> WrittenReply:
        if record is None:
            raise RequestRefused(Failure.NOT_FOUND, "there is no such document")
        self.engine.forget(key)
        ended = self.replica.delete(key)
        return self._reply(message, ended, False, True, b"")

    def _create(self, key: bytes, message: WriteDocument) -> WrittenReply:
        if message.kind is not WriteKind.PUT:
            raise RequestRefused(Failure.NOT_FOUND, "there is no such document to patch")
        target = target_of(message.kind, {}, message.body, self.limits)
        value = self._checked({}, target)
        expires = message.expires_at if message.expires_at > 0 else None
        incarnation = self.replica.next_incarnation(key)
        own = self.replica.client_of(incarnation)
        before = Before(key, incarnation, b"", {})
        update = change_by(own, before, root_maps.NO_ROOT_MAPS, plan(Shape(), target), expires)
        record = self._write(key, None, update, value)
        return self._reply(message, record, True, True, value)

    def _checked(self, present: Json, target: Json) -> bytes:
        """The value after a change as JSON. Raises BadValue."""
        value = dump(target)
        self.limits.check_result(present, target, value)
        return value

    def _change(
        self, key: bytes, message: WriteDocument, record: Record, maps: root_maps.RootMaps
    ) -> WrittenReply | EngineQuestion:
        shape = maps.shape()
        present = build(shape)
        try:
            target = target_of(message.kind, present, message.body, self.light_limits)
        except BadValue as error:
            if error.code in (TOO_LARGE, TOO_MANY, TOO_COSTLY) and error.where:
                return self._question(key, message, record, is_heavy=True)
            raise
        value = self._checked(present, target)
        whole = maps.shape_towards(shape, target)
        if whole is None:
            return self._question(key, message, record)
        edits = plan(whole, target)
        expires = message.expires_at if message.expires_at >= 0 else record.expires_at
        new_expiry = expires if expires != record.expires_at else None
        own = self.replica.client_of(record.incarnation)
        before = Before(key, record.incarnation, record.fingerprint, record.state_vector)
        update = change_by(own, before, maps, edits, new_expiry)
        if update.is_empty:
            return self._reply(message, record, False, False, value)
        updated = self._write(key, record, update, value)
        return self._reply(message, updated, False, True, value)

    def _write(self, key: bytes, record: Record | None, update: Update, value: bytes) -> Record:
        encoded = encode_update(update)
        if not has_room(record, len(encoded)):
            raise RequestRefused(Failure.TOO_LARGE, NO_ROOM)
        return self.replica.write(key, update, value, encoded)

    def finish(
        self, message: WriteDocument, question: EngineQuestion, result: OperationResult
    ) -> WrittenReply:
        """The reply to a write for which the engine has computed the change. Raises RequestRefused."""
        key, record = question.key, question.record
        match result.outcome:
            case EngineOutcome.INVALID:
                raise RequestRefused(Failure.INVALID, result.message, result.where)
            case EngineOutcome.TOO_LARGE:
                raise RequestRefused(Failure.TOO_LARGE, result.message)
            case EngineOutcome.TOO_COSTLY:
                self.costly.add(question, result.message)
                raise RequestRefused(Failure.TOO_COSTLY, result.message)
            case EngineOutcome.PANICKED | EngineOutcome.NEEDS_STATE | EngineOutcome.NEEDS_ALONE:
                self.quarantine.add(key, record.incarnation, change_of(question))
                raise RequestRefused(
                    Failure.QUARANTINED, "this change broke the engine and was set aside"
                )
            case EngineOutcome.DONE:
                pass
        try:
            return self._take(message, question, result)
        except NumbersExhausted as error:
            self.engine.forget(key)  # it has made the change
            raise RequestRefused(Failure.EXHAUSTED, str(error)) from None

    def _take(
        self, message: WriteDocument, question: EngineQuestion, result: OperationResult
    ) -> WrittenReply:
        key, record = question.key, question.record
        updated = record
        sets_expiry = message.expires_at >= 0 and message.expires_at != record.expires_at
        if not has_room(record, len(result.update) + EXPIRY_BYTES * sets_expiry):
            self.engine.forget(key)  # it has made the change
            raise RequestRefused(Failure.TOO_LARGE, NO_ROOM)
        if result.update:
            update = self.engine.new_part(key, record, result.update)
            if sets_expiry:
                self.replica.check_clocks(record, update)
            if not update.is_empty:
                updated = self.replica.write(key, update, result.value)
        updated = self._set_expiry(key, message, updated, result.value)
        return self._reply(message, updated, False, updated is not record, result.value)

    def _set_expiry(
        self, key: bytes, message: WriteDocument, record: Record, value: bytes
    ) -> Record:
        if message.expires_at < 0 or message.expires_at == record.expires_at:
            return record
        self.engine.forget(key)
        whole = self.replica.merged(key, record)
        maps = root_maps.read(whole, frozenset((root_maps.CONTROL,)))
        assert maps is not None
        client = self.replica.client_of(record.incarnation)
        clock = record.state_vector.get(client, 0)
        update = root_maps.change(maps, NO_EDITS, client, clock, message.expires_at)
        return self.replica.write(key, update, value)

    def _reply(
        self,
        message: WriteDocument,
        record: Record,
        was_created: bool,
        was_changed: bool,
        value: bytes,
    ) -> WrittenReply:
        return WrittenReply(
            message.collection,
            message.id,
            was_created,
            was_changed,
            record.incarnation,
            record.fingerprint,
            record.sequence,
            value,
            record.expires_at,
            self.generation(),
        )


def change_of(question: EngineQuestion) -> bytes:
    """The bytes by which the quarantine knows a change that broke the engine."""
    return question.kind.encode() + b"\0" + question.payload


def _check_preconditions(message: WriteDocument, record: Record | None) -> None:
    if message.if_match and not _matches(message.if_match, record):
        raise RequestRefused(Failure.PRECONDITION, _mismatch(message, record))
    if message.if_none_match and _matches(message.if_none_match, record):
        raise RequestRefused(Failure.PRECONDITION, _exclusion(message))


def _mismatch(message: WriteDocument, record: Record | None) -> str:
    name = f"{message.collection}/{message.id}"
    return f"{name} does not exist" if record is None else f"{name} has another etag than If-Match"


def _exclusion(message: WriteDocument) -> str:
    name = f"{message.collection}/{message.id}"
    if ANY_FINGERPRINT in message.if_none_match:
        return f"{name} already exists"
    return f"{name} has an etag that If-None-Match excludes"


def _matches(fingerprints: tuple[bytes, ...], record: Record | None) -> bool:
    if record is None:
        return False
    return ANY_FINGERPRINT in fingerprints or record.fingerprint in fingerprints
