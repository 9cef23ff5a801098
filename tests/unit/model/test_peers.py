"""An address is read from the text that it is kept as; a host name is none."""

import pytest

from peatnode.model.peers import Address


@pytest.mark.parametrize(
    "text", ["10.0.0.1:1", "[::1]:65535", "[fe80::1%eth0]:11204", "[::ffff:10.0.0.1]:2"]
)
def test_an_address_is_read_as_it_was_written(text: str) -> None:
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:²", "host.example:1", ":1"]
)
def test_what_is_no_address_is_not_read(text: str) -> None:
    assert Address.parse(text) is None
