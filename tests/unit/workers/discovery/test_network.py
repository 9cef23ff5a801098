"""Which interfaces mDNS uses."""

from peatnode.ipc.messages import Address
from workers.discovery.network import Adapter, choose_reach, own_addresses, read_adapters

LO = Adapter("lo", 1, ("127.0.0.1", "::1"), is_loopback=True, has_multicast=False)
ETH = Adapter("eth0", 2, ("192.168.1.5", "fd00::5", "fe80::5"))
WLAN = Adapter("wlan0", 3, ("192.168.2.5",))
DOCKER = Adapter("docker0", 4, ("172.17.0.1",), is_bridge=True)
DOWN = Adapter("eth1", 5, ("10.9.0.1",), is_up=False)
SIX = Adapter("six0", 6, ("fd01::5", "fe80::6"))
ALL = (LO, ETH, WLAN, DOCKER, DOWN)


def test_all_that_lead_somewhere_and_no_bridges() -> None:
    reach = choose_reach(ALL, (), "0.0.0.0")
    assert reach.interfaces == ("192.168.1.5", "192.168.2.5")
    assert reach.hosts == ("192.168.1.5", "192.168.2.5")


def test_ipv6_is_told_where_it_is_listened_on() -> None:
    reach = choose_reach((LO, ETH, SIX), (), "::")
    assert reach.interfaces == ("192.168.1.5", 6)
    assert reach.hosts == ("192.168.1.5", "fd00::5", "fd01::5")


def test_an_interface_that_nobody_could_be_told_of_is_left_out() -> None:
    assert choose_reach((LO, WLAN, SIX), (), "0.0.0.0").interfaces == ("192.168.2.5",)


def test_without_a_network_the_loopback() -> None:
    reach = choose_reach((LO, DOCKER, DOWN), (), "0.0.0.0")
    assert (reach.interfaces, reach.hosts) == (("127.0.0.1",), ("127.0.0.1",))


def test_the_named_one_only() -> None:
    reach = choose_reach(ALL, ("127.0.0.1",), "0.0.0.0")
    assert (reach.interfaces, reach.hosts) == (("127.0.0.1",), ("127.0.0.1",))
    assert choose_reach(ALL, ("172.17.0.1",), "0.0.0.0").hosts == ("172.17.0.1",)
    gone = choose_reach(ALL, ("10.8.8.8",), "0.0.0.0")
    assert (gone.interfaces, gone.hosts) == ((), ())


def test_a_node_that_listens_on_one_address_tells_that_one() -> None:
    reach = choose_reach(ALL, (), "127.0.0.1")
    assert (reach.interfaces, reach.hosts) == (("127.0.0.1",), ("127.0.0.1",))
    assert choose_reach(ALL, (), "192.168.2.5").interfaces == ("192.168.2.5",)


def test_self_assigned_addresses_only_where_there_is_nothing_else() -> None:
    auto = Adapter("eth2", 7, ("169.254.3.4",))
    assert choose_reach((LO, auto), (), "0.0.0.0").hosts == ("169.254.3.4",)
    assert choose_reach((LO, auto, WLAN), (), "0.0.0.0").hosts == ("192.168.2.5",)


def test_own_addresses() -> None:
    assert own_addresses(ALL, "192.168.1.5", 7) == {Address("192.168.1.5", 7)}
    assert Address("172.17.0.1", 7) in own_addresses(ALL, "0.0.0.0", 7)


def test_this_machine_has_a_loopback() -> None:
    assert any(a.is_loopback and "127.0.0.1" in a.hosts for a in read_adapters())
