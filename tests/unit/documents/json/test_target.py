"""One rule for what a change leads to, in the store and in the engine."""

import orjson
import pytest

from peatnode.documents.json.target import target_of
from peatnode.documents.names import RESERVED_MEMBERS
from peatnode.errors import BadValue
from peatnode.ipc.messages import EngineKind, WriteKind

PRESENT = {"a": 1, "b": {"c": 2}}
PATCH = b'[{"op": "replace", "path": "/b/c", "value": 3}]'


@pytest.mark.parametrize("kinds", [WriteKind, EngineKind])
def test_a_change_leads_to_the_same_value_wherever_it_is_made(kinds):
    assert target_of(kinds.PUT, PRESENT, b'{"d": 4}') == {"d": 4}
    assert target_of(kinds.PATCH, PRESENT, b'{"a": null}') == {"b": {"c": 2}}
    assert target_of(kinds.JSON_PATCH, PRESENT, PATCH) == {"a": 1, "b": {"c": 3}}


@pytest.mark.parametrize("kind", [WriteKind.DELETE, EngineKind.APPLY, EngineKind.VALUE])
def test_other_kinds_lead_to_no_value(kind):
    with pytest.raises(BadValue, match=f"must be put, patch or json_patch, not {kind}"):
        target_of(kind, PRESENT, b"{}")


@pytest.mark.parametrize("kind", ["put", "patch"])
@pytest.mark.parametrize("name", RESERVED_MEMBERS)
def test_no_change_gives_a_document_a_reserved_member(kind: str, name: str) -> None:
    body = orjson.dumps({name: True})
    with pytest.raises(BadValue) as refused:
        target_of(kind, {"a": 1}, body)
    assert refused.value.where == f"/{name}"
    with pytest.raises(BadValue):
        target_of(kind, {name: 1}, body)  # 1 is not true
    assert target_of(kind, {name: True}, body) == {name: True}
    below = orjson.dumps({"a": {name: True}})
    assert target_of(kind, {}, below) == {"a": {name: True}}
