"""What the decoder takes neither kills y-py nor makes it panic, once projected flat. It runs in its own process."""

import random
import subprocess
import sys
from base64 import b64decode
from typing import Any

from peatnode.documents.yjs.causality import missing_for
from peatnode.documents.yjs.projection import project
from peatnode.documents.yjs.update import decode_update, encode_update
from peatnode.errors import MalformedUpdate

WANTED = 3000

ENGINE = """
import sys
import y_py

for line in sys.stdin:
    doc = y_py.YDoc(1, offset_kind="utf16")
    y_py.apply_update(doc, bytes.fromhex(line))
    root, items, text = doc.get_map("root"), doc.get_array("list"), doc.get_text("text")
    root.to_json(), items.to_json(), str(text)
    y_py.encode_state_as_update(doc)
    print("survived", flush=True)
"""


def _mutate(rng: random.Random, raw: bytes) -> bytes:
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(data))
        match rng.randrange(4):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                data[at] ^= 1 << rng.randrange(8)
            case 2:
                data[at:at] = rng.randbytes(rng.randrange(1, 4))
            case _:
                del data[at : at + rng.randrange(1, 4)]
                data += b"\0" * (not data)
    return bytes(data)


def _accepted(rng: random.Random, raws: list[bytes]) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < WANTED:
        try:
            update = decode_update(_mutate(rng, rng.choice(raws)))
        except MalformedUpdate:
            continue
        if missing_for(update, {}) is None:
            flat = project(update, ("root", "list", "text").__contains__, flatten=True)
            found.append(encode_update(flat))
    return found


def test_accepted_mutants_neither_kill_the_engine_nor_make_it_panic(
    yjs: Any, rng: random.Random
) -> None:
    raws = []
    for number in range(60):
        history = yjs.ask("history", seed=rng.randrange(2**31), steps=10, writers=1 + number % 3)
        raws += [b64decode(raw) for raw in (*history["deltas"][:3], history["merged"])]
    accepted = _accepted(rng, raws)
    done = subprocess.run(
        [sys.executable, "-c", ENGINE],
        input="\n".join(update.hex() for update in accepted),
        capture_output=True,
        text=True,
        timeout=60,
        env={"RUST_BACKTRACE": "0"},
    )
    survived = done.stdout.count("survived")
    assert (done.returncode, survived) == (0, WANTED), (
        f"{accepted[min(survived, WANTED - 1)].hex()}\n{done.stderr[-800:]}"
    )
