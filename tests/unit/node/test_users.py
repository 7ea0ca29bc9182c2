"""As whom crawl processes may run."""

import pwd

import pytest

from crawler.errors import ConfigError
from crawler.node.crew.users import check_user

OTHER = next(each for each in pwd.getpwall() if each.pw_uid != 0)


@pytest.mark.parametrize(
    ("name", "own_uid"),
    [("", 1000), (OTHER.pw_name, 0), (OTHER.pw_name, OTHER.pw_uid), ("root", 0)],
    ids=["nobody else", "anybody, by root", "itself", "root by root"],
)
def test_a_user_as_whom_processes_can_run(name, own_uid):
    check_user(name, own_uid)


@pytest.mark.parametrize(
    ("name", "own_uid", "complaint"),
    [
        ("no-such-user", 0, "worker.run_as: 'no-such-user' given; the name of a user of this mach"),
        (
            "root",
            OTHER.pw_uid,
            "worker.run_as: 'root' given, but this worker is not root, and only",
        ),
    ],
)
def test_a_user_as_whom_they_cannot_is_told_with_what_to_do(name, own_uid, complaint):
    with pytest.raises(ConfigError) as caught:
        check_user(name, own_uid)
    assert str(caught.value).startswith(complaint)
    assert "or leave the setting empty" in str(caught.value)
