"""Updates that the decoder accepts do not kill y-py, once projected flat. The engine runs in its own process."""

import random
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterable
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
    try:
        y_py.apply_update(doc, bytes.fromhex(line))
        root, items, text = doc.get_map("root"), doc.get_array("list"), doc.get_text("text")
        root.to_json(), items.to_json(), str(text)
        y_py.encode_state_as_update(doc)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        print("panicked", flush=True)
    else:
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


MAX_PANICS = 10
"""Of WANTED mutants. The engine discards a document that panics, as `workers/engine/document.py` does."""


def _run(yjs: Any, seeds: Iterable[int], rng: random.Random) -> tuple[int, int]:
    """Panics and survivals of one engine process. Fails with the update that ended it."""
    raws = []
    for number, seed in enumerate(seeds):
        history = yjs.ask("history", seed=seed, steps=10, writers=1 + number % 3)
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
    panicked, survived = done.stdout.count("panicked"), done.stdout.count("survived")
    ended_at = accepted[min(panicked + survived, WANTED - 1)].hex()
    assert done.returncode == 0, f"{ended_at}\n{done.stderr[-800:]}"
    return panicked, survived


def test_accepted_mutants_do_not_kill_the_engine_and_rarely_make_it_panic(
    yjs: Any, rng: random.Random
) -> None:
    panicked, survived = _run(yjs, [rng.randrange(2**31) for _ in range(60)], rng)
    assert panicked + survived == WANTED
    assert panicked <= MAX_PANICS


def test_a_known_set_of_accepted_mutants_never_makes_the_engine_panic(yjs: Any) -> None:
    rng = random.Random(20)  # fixed: a set without panics
    assert _run(yjs, range(20, 80), rng) == (0, WANTED)
