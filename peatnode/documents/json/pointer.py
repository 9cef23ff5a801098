"""JSON Pointers (RFC 6901): the keys of a document's root map."""


def escape(name: str) -> str:
    if "~" in name:
        name = name.replace("~", "~0")
    return name.replace("/", "~1") if "/" in name else name


def unescape(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~") if "~" in token else token


def pointer_of(key: str) -> str:
    """The pointer that a key of the root map stands for.

    A Yjs client that does not know of pointers writes a key without a leading slash: a member of that name.
    """
    return key if key.startswith("/") else "/" + escape(key)


def alias_of(pointer: str) -> str | None:
    """The key without a slash that means the same, for a member at the top."""
    if pointer.find("/", 1) >= 0:
        return None
    name = unescape(pointer[1:])
    return None if name.startswith("/") else name


def split(pointer: str) -> list[str]:
    """The unescaped tokens of a pointer; none for the whole document."""
    return [unescape(token) for token in pointer.split("/")[1:]]
