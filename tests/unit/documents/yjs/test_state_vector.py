from peatnode.documents.yjs.state_vector import decode_state_vector, encode_state_vector


def test_clients_come_in_descending_order_and_zeros_are_left_out() -> None:
    assert encode_state_vector({1: 2, 300: 5, 7: 0}) == b"\2\xac\2\5\1\2"


def test_any_order_is_read_and_zeros_say_nothing() -> None:
    assert decode_state_vector(b"\3\1\2\7\0\xac\2\5") == {1: 2, 300: 5}
