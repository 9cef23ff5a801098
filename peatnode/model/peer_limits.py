"""The limits of what nodes say to each other, and of presence: each number once, with its reason.

Both ends of a connection read them here: a sender makes nothing that the receiver drops, and what a node accepts from
its clients, its peers accept from it. So all nodes of a mesh must have the same ones. The limits of documents are in
`peatnode.documents.limits`, those of names and texts in `peatnode.texts`.
"""

from dataclasses import dataclass

from peatnode.identity import INSTANCE_BYTES as INSTANCE_BYTES
from peatnode.model.tree import FAN_OUT, HASH_BYTES
from peatnode.texts import MAX_NAME_BYTES

# --- frames -----------------------------------------------------------------------------------------

UNAUTHENTICATED_LIMIT = 4 * 1024
"""Bytes of one frame, and of all data that a peer may send, before authentication."""

MAX_FRAME_BYTES = 40 * 1024 * 1024
"""The largest document is 32 MiB; the rest is room for the fields around it."""

MAX_BATCH_BYTES = 40 * 1024 * 1024
"""Bytes of a batch of updates after decompression: as many as a frame may have, so that each batch may travel plain."""

MAX_BATCH_UPDATES = 8192
"""Updates in one batch. A push has at most MAX_PUSH_CHANGES, an answer to named documents at most MAX_WANTED, and an
answer with a part of the tree about 4,000: the store counts at least 60 bytes of ANSWER_BYTES for each."""

MAX_UPDATE_FIELDS = 32
"""Fields of one update in a batch: more than any version has."""

# --- memory -----------------------------------------------------------------------------------------

MAX_UNPACKED_BYTES = 64 * 1024 * 1024
"""Received batches that are unpacked at the same time, of all peers together, until the store has applied them. One
batch always may be. A batch exists three times while it goes to the store: one member with the largest documents takes
the sync process to at most 200 MiB (`tests/process/test_sync_memory.py`)."""

MAX_PEER_UNPACKED_BYTES = 8 * 1024 * 1024
"""Those of the pushes of one peer, and those of a pull. One batch always may be. Two usual pushes fit, so that the
store always has the next one."""

MAX_PACKED_BYTES = 64 * 1024 * 1024
"""Received batches that wait packed until there is room, of all peers together."""

MAX_PEER_PACKED_BYTES = 44 * 1024 * 1024
"""Those of one peer: one frame of MAX_FRAME_BYTES, and usual ones. Others still find room."""

SURE_PACKED_BYTES = 512 * 1024
"""A peer whose batches that wait are smaller than this may always send one more: PUSH_WINDOW pushes of MAX_PUSH_BYTES
fit, whatever others send."""

# --- instances and peers --------------------------------------------------------------------------------

NONCE_BYTES = 32

MAX_NEIGHBOURS = 512
"""Neighbours of one peer that are kept: as many as a node has connections."""

MAX_DEPARTURES = 256
"""Nodes that have left for good and are remembered, and the entries of one Departed."""

# --- pushes -----------------------------------------------------------------------------------------

PUSH_WINDOW = 2
"""Unacknowledged pushes: one is on its way while the peer commits the other. Further changes wait for the next."""

MAX_PUSH_CHANGES = 1000
MAX_PUSH_BYTES = 128 * 1024
"""Size of the changes in one push. A change that is larger goes alone."""

MAX_APPLYING = 32
"""Received pushes that the store has not answered. A peer that respects its window sends PUSH_WINDOW; when it has
given up a push without an answer, it sends two more in 20 s."""

# --- questions --------------------------------------------------------------------------------------

MAX_STEPS = 4
"""Questions of one pull in progress at the same time: enough to hide latency, few enough to bound memory."""

MAX_QUESTIONS_WAITING = 64
"""Questions of one peer that wait for the store. A peer that has at most MAX_STEPS open ones never has as many."""

MAX_QUESTION_BYTES = 8 * 1024 * 1024
"""Memory of the questions of one peer, those with the store and those that wait; one alone may have more, and
others are not answered. Sixty-four of the largest would take 2.5 GiB."""

PARENTS_PER_ASK = 64
BUCKETS_PER_ASK = 64

MAX_INDEXES = 256
"""Nodes or buckets in one question: at least PARENTS_PER_ASK and BUCKETS_PER_ASK."""

MAX_TREE_KEY_BYTES = 512
"""From where on a question asks: 8 bytes of a hash and the longest name of a document, 329 together."""

WANTED_PER_ASK = 500

MAX_WANTED = 1000
"""Documents in one question: at least WANTED_PER_ASK."""

AIMED_ENTRIES = 4096
"""Entries in the answer to a question for buckets, about: fewer buckets are asked for in a large store."""

MAX_ENTRIES = 20_000
"""Entries in one answer. What is beyond is asked for next: so many in the buckets of one question are no chance."""

MAX_FOUND = 32_768
"""Documents that one pull has found and not fetched yet. Those of an honest peer are below 5,000, because documents are
fetched before further buckets are listed. The rest of what a peer names is left to the next pull."""

WANTED_BYTES = 1024 * 1024
"""State vectors in one question. One that is larger goes alone: that of a document of 100,000 clients has 1.3 MB, so
without this limit 500 of them would not fit in a frame."""

ANSWER_BYTES = 256 * 1024
"""Size of the documents in one answer, before compression. A document that is larger goes alone."""

# --- awareness --------------------------------------------------------------------------------------

AWARENESS_KEY_BYTES = 16

MAX_AWARENESS_BYTES = 64 * 1024
"""Payload of one message of awareness. A cursor and a name take 200 bytes, a hundred cursors 16 KiB."""

MAX_AWARENESS_STATE_BYTES = MAX_AWARENESS_BYTES - 32
"""The JSON of one state. The rest is room for the numbers around it: a message of one state fits."""

MAX_AWARENESS_DEPTH = 100
"""Nesting of the JSON of one state. Parsers that recurse fail beyond a depth that depends on what called them."""

MAX_AWARENESS_CLOCK = 2**40
"""Clocks of states are below it. A client that is told of its removal goes on from the clock of it, and beyond 2**53 it
could not be read any more."""

MAX_STATES = 4096
"""States in one message of a client."""

MIN_STATE_BYTES = 128
"""What a state from a peer counts at least: a cursor and a name are larger, and a hundred thousand states of nine bytes
take a serving process longer than the second for which they count."""

STATE_OVERHEAD_BYTES = 256
"""What a state takes beside its JSON, in memory."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How much a sender may send: a mean, and for how many seconds of the mean at once."""

    bytes: int
    """A second."""
    messages: int
    """A second."""
    burst_seconds: float


CLIENT_AWARENESS_RATE = Rate(512 * 1024, 200, 10.0)
"""New states of one client of the node. An editor that sends 16 KiB of cursors with each of 25 moves a second stays
below, and so does a pointer that moves with each frame of a screen."""

PEER_AWARENESS_RATE = Rate(2 * 1024 * 1024, 4000, 2.0)
"""Awareness that a node sends to one peer. 1,000 clients of a node that type take a tenth."""

RECEIVED_AWARENESS_RATE = Rate(PEER_AWARENESS_RATE.bytes, PEER_AWARENESS_RATE.messages, 12.0)
"""Awareness that a node takes from one peer. What was sent in 10 s, after which an idle connection ends, may arrive at
once."""

# --- messages ---------------------------------------------------------------------------------------
# The content of the frame of each type of message. A message that is larger is not decoded; one of documents may have
# MAX_FRAME_BYTES.

SMALL_MESSAGE_BYTES = 4 * 1024
"""A few numbers and hashes, or the MAX_INDEXES of a question, and room for fields of later versions."""

NEIGHBOURS_BYTES = MAX_NEIGHBOURS * (MAX_NAME_BYTES + 2 * INSTANCE_BYTES + 16) + SMALL_MESSAGE_BYTES
"""A difference removes as many as it adds at most."""

DEPARTED_BYTES = MAX_DEPARTURES * (MAX_NAME_BYTES + INSTANCE_BYTES + 24) + SMALL_MESSAGE_BYTES

ASK_UPDATES_BYTES = 2 * 1024 * 1024
"""WANTED_BYTES or one vector of 100,000 clients (1.3 MB), and the names of MAX_WANTED documents."""

BUCKETS_BYTES = 8 * 1024 * 1024
"""MAX_ENTRIES with the longest names: 320 bytes, and 40 for the rest of each."""

TREE_BYTES = MAX_INDEXES * FAN_OUT * HASH_BYTES + SMALL_MESSAGE_BYTES

AWARENESS_MESSAGE_BYTES = MAX_AWARENESS_BYTES + SMALL_MESSAGE_BYTES
"""The rest is room for the names of the document."""

# --- presence: what the broker keeps of awareness ---------------------------------------------------

MAX_PRESENCE_BYTES = 16 * 1024 * 1024
"""States of all documents together, in one serving process."""

MAX_ROOM_PRESENCE_BYTES = MAX_STATES * STATE_OVERHEAD_BYTES
"""States of one document: 1 MiB. All of them fit in one message to a client."""

MAX_CLIENT_IDS = 64
"""Yjs clients for which one connection speaks. A tab has one; it may pass on those of other tabs of its browser."""

TAKEOVER_SECONDS = 20.0
"""A client id whose connection has not renewed its state for so long may be used by another one: clients renew their
states every 15 s, and a connection that was cut off may stay half-open for longer than its client needs to return."""
