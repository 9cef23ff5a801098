"""JSON Pointers (RFC 6901): the keys of a document's root map."""


def escape(name: str) -> str:
    """The pointer token of a member name."""
    if "~" in name:
        name = name.replace("~", "~0")
    return name.replace("/", "~1") if "/" in name else name


def unescape(token: str) -> str:
    """The member name of a pointer token."""
    return token.replace("~1", "/").replace("~0", "~") if "~" in token else token


def pointer_of(key: str) -> str:
    """The pointer that a key of the root map stands for.

    A Yjs client that does not use pointers writes a key without a leading slash, which is the name of a member.
    """
    return key if key.startswith("/") else "/" + escape(key)


def alias_of(pointer: str) -> str | None:
    """The key without a leading slash that has the same meaning. Only top-level members have one."""
    if pointer.find("/", 1) >= 0:
        return None
    name = unescape(pointer[1:])
    return None if name.startswith("/") else name


def split(pointer: str) -> list[str]:
    """The member names along a pointer; empty for the whole document."""
    return [unescape(token) for token in pointer.split("/")[1:]]
