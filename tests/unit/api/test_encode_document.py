import json

import pytest

from peatnode.api.encode_document import named, with_id


@pytest.mark.parametrize(
    ("value", "listed"),
    [
        (b"{}", {"_id": "x"}),
        (b'{"a":1}', {"a": 1, "_id": "x"}),
        (b'{"_id":"mine","a":1}', {"a": 1, "_id": "x"}),
        (b'{"_deleted":true}', {"_id": "x"}),
        (b'{"_deleted":true,"_id":[1]}', {"_id": "x"}),
        (b'{"a":{"_id":1,"_deleted":true}}', {"a": {"_id": 1, "_deleted": True}, "_id": "x"}),
        (b'{"a":"_deleted","_rev":"1-a"}', {"a": "_deleted", "_rev": "1-a", "_id": "x"}),
    ],
)
def test_a_listed_document_has_its_id_and_no_other_reserved_member(
    value: bytes, listed: dict[str, object]
) -> None:
    assert json.loads(with_id("x", value)) == listed
    assert named("x", json.loads(value)) == listed
