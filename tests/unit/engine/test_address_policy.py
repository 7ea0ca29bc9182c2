"""Which addresses may be connected to."""

import pytest

from crawler.engine.download.address_policy import AddressPolicy
from crawler.errors import ConfigError

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
REFUSED = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "fc00::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "no address",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address):
    assert AddressPolicy().allows(address)


@pytest.mark.parametrize("address", REFUSED)
def test_all_others_are_refused(address):
    assert not AddressPolicy().allows(address)


def test_what_the_operator_lists_is_allowed_and_no_more():
    policy = AddressPolicy(["10.1.0.0/16", "::1"])
    assert policy.allows("10.1.2.3")
    assert policy.allows("::ffff:10.1.2.3")
    assert policy.allows("::1")
    assert policy.allows("8.8.8.8")
    assert not policy.allows("10.2.0.1")
    assert not policy.allows("127.0.0.1")


@pytest.mark.parametrize("address", REFUSED[:-2])
def test_all_is_everything(address):
    assert AddressPolicy(["all"]).allows(address)


def test_what_is_no_network_is_told():
    with pytest.raises(ConfigError, match=r"worker.private_targets: '10.0.0.0/99' is not allowed"):
        AddressPolicy(["10.0.0.0/99"])
