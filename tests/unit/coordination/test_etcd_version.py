"""Which versions of etcd are too old."""

import pytest

from crawler.coordination.etcd.version import objection


@pytest.mark.parametrize("version", ["3.5.28", "3.5.100", "3.6.9", "3.7.0", "4.0.0", "3.6.9-rc.1"])
def test_what_is_new_enough(version):
    assert objection(version) == ""


@pytest.mark.parametrize("version", ["3.5.1", "3.5.27", "3.6.0", "3.6.8", "3.4.44", "2.3.8"])
def test_what_is_too_old_is_told_with_what_is_asked(version):
    assert objection(version) == (
        f"etcd {version} can revoke leases wrongly and lose watch events; "
        "use 3.5.28 or later, of 3.6 at least 3.6.9 (docs/etcd.md)"
    )


@pytest.mark.parametrize("version", ["", "unknown", "3.5", "9" * 5000])
def test_what_is_no_version_is_not_judged(version):
    assert objection(version) == ""
