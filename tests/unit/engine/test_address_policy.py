"""Which addresses may be connected to."""

import pytest

from crawler.engine.download.address_policy import AddressPolicy
from crawler.errors import ConfigError

PUBLIC = [
    "1.0.0.0",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.0.9",
    "192.0.0.10",
    "192.0.1.0",
    "192.0.3.0",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "192.175.48.1",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "2000::1",
    "2001:1::1",
    "2001:1::3",
    "2001:3::1",
    "2001:4:112::1",
    "2001:200::1",
    "2001:db7:ffff::1",
    "2001:db9::1",
    "2003::1",
    "2606:4700::1111",
    "2620:4f:8000::1",
    "3ffe::1",
    "3fff:1000::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
    "2001:0:808:808::f7f7:f7f7",
    "2606:4700::5efe:808:808",
]
REFUSED = [
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.0",
    "169.254.169.254",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.8",
    "192.0.0.11",
    "192.0.0.170",
    "192.0.0.255",
    "192.0.2.0",
    "192.0.2.255",
    "192.88.99.0",
    "192.88.99.2",
    "192.168.0.0",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.0",
    "203.0.113.255",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.0",
    "255.255.255.254",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::808:808",
    "::ffff:0:8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:192.0.0.1",
    "64:ff9a::1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b::c0a8:1",
    "64:ff9b:1::808:808",
    "64:ff9b:1:ffff::1",
    "100::1",
    "100:0:0:1::1",
    "200::1",
    "1fff:ffff::1",
    "2001:1::4",
    "2001:2::1",
    "2001:4:113::1",
    "2001:10::1",
    "2001:20::1",
    "2001:30::1",
    "2001:1ff:ffff::1",
    "2001:db8::1",
    "2001:db8:ffff::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2002:c0a8:1::1",
    "2002:e000:1::1",
    "2001:0:7f00:1::",
    "2001:0:808:808::f5ff:fffe",
    "2001:0:a00:1::f7f7:f7f7",
    "2606:4700::5efe:a00:1",
    "2606:4700::200:5efe:c0a8:1",
    "3fff::1",
    "3fff:fff:ffff::1",
    "4000::1",
    "5f00::1",
    "5f00:ffff::1",
    "fbff::1",
    "fc00::1",
    "fdff::1",
    "fe00::1",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    "fec0::1",
    "feff::1",
    "ff02::1",
    "ffff::1",
    "fe80::5efe:808:808",
    "no address",
    "",
]


def test_public_addresses_are_allowed():
    policy = AddressPolicy()
    assert [address for address in PUBLIC if not policy.allows(address)] == []


def test_all_others_are_refused():
    policy = AddressPolicy()
    assert [address for address in REFUSED if policy.allows(address)] == []


def test_what_the_operator_lists_is_allowed_and_no_more():
    policy = AddressPolicy(["10.1.0.0/16", "::1"])
    assert policy.allows("10.1.2.3")
    assert policy.allows("::ffff:10.1.2.3")
    assert policy.allows("::1")
    assert policy.allows("8.8.8.8")
    assert AddressPolicy(["2002:a00::/24"]).allows("2002:a00:1::1")
    assert not policy.allows("10.2.0.1")
    assert not policy.allows("127.0.0.1")


def test_all_is_everything():
    policy = AddressPolicy(["all"])
    assert [address for address in REFUSED[:-2] if not policy.allows(address)] == []


def test_what_is_no_network_is_told():
    with pytest.raises(ConfigError, match=r"worker.private_targets: '10.0.0.0/99' is not allowed"):
        AddressPolicy(["10.0.0.0/99"])
