"""Between the protocol's values and the messages of the links."""

from __future__ import annotations

from peatnode.ipc import messages
from peatnode.ipc.messages import Ask, Message
from peatnode.model import values
from peatnode.model.values import Answer, Question


def question_to_message(question: Question) -> Ask[Message]:
    return _to_message(question)  # type: ignore[return-value]  # each is an Ask of some reply


def _to_message(question: Question) -> Message:
    match question:
        case values.ReadTree(level, indexes):
            return messages.ReadTree(level, indexes)
        case values.ReadBuckets(first, last, place, limit):
            return messages.ReadBuckets(first, last, place, limit)
        case values.ReadVectors(documents):
            return messages.ReadVectors(documents)
        case values.ReadDifferences(wanted, max_bytes):
            asked = tuple(
                [messages.Wanted(w.collection, w.id, w.incarnation, w.state_vector) for w in wanted]
            )
            return messages.ReadDifferences(asked, max_bytes)
        case values.ReadRange(first, last, place, max_bytes):
            return messages.ReadRange(first, last, place, max_bytes)
        case values.ApplyUpdates(updates, origin):
            given = tuple(
                [
                    messages.DocumentUpdate(
                        u.collection, u.id, u.incarnation, u.is_deleted, u.expires_at, u.update
                    )
                    for u in updates
                ]
            )
            return messages.ApplyUpdates(given, origin)


def message_to_answer(reply: Message) -> Answer:
    match reply:
        case messages.TreeReply():
            return values.TreeRead(reply.hashes, reply.sequence)
        case messages.BucketsReply():
            entries = [
                values.Entry(e.collection, e.id, e.incarnation, e.is_deleted, e.fingerprint)
                for e in reply.entries
            ]
            return values.BucketsRead(tuple(entries), reply.next_place)
        case messages.VectorsReply():
            wanted = [
                values.Wanted(w.collection, w.id, w.incarnation, w.state_vector)
                for w in reply.wanted
            ]
            return values.VectorsRead(tuple(wanted))
        case messages.UpdatesReply():
            updates = tuple([_update(update) for update in reply.updates])
            return values.UpdatesRead(updates, reply.answered, reply.next_place)
        case messages.AppliedReply():
            outcomes = tuple([values.Outcome(outcome.value) for outcome in reply.outcomes])
            return values.UpdatesApplied(outcomes, reply.reasons, reply.sequence)
    raise AssertionError(f"no question of ours is answered by {reply.TAG}")


def _update(update: messages.DocumentUpdate) -> values.DocumentUpdate:
    return values.DocumentUpdate(
        update.collection,
        update.id,
        update.incarnation,
        update.is_deleted,
        update.expires_at,
        update.update,
    )


def change_of_feed(change: messages.Change) -> values.Change:
    update = values.DocumentUpdate(
        change.collection,
        change.id,
        change.incarnation,
        change.action == "deleted",
        0.0,  # when it ends is in the update itself
        change.update,
    )
    return values.Change(change.sequence, change.origin, update)
