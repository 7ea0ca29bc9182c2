"""The user as whom crawl processes run (`worker.run_as`)."""

from __future__ import annotations

import os
import pwd

from crawler.errors import ConfigError, shown


def check_user(name: str, own_uid: int | None = None) -> None:
    """Check, before a worker is a member, that its processes can run as that user; an empty name
    means its own. Raises ConfigError."""
    if not name:
        return
    own_uid = os.geteuid() if own_uid is None else own_uid
    try:
        uid = pwd.getpwnam(name).pw_uid
    except KeyError:
        raise ConfigError(
            f"worker.run_as: {shown(name)} given; the name of a user of this machine is allowed:"
            " make this user, or leave the setting empty"
        ) from None
    if own_uid not in (0, uid):
        raise ConfigError(
            f"worker.run_as: {shown(name)} given, but this worker is not root, and only root may"
            " run processes as another user; start it as root, or leave the setting empty"
        )
