"""The settings with which the demo runs."""

import os

from crawler.local.demo import bundled
from crawler.settings import config


def test_all_that_the_demo_writes_goes_into_the_working_folder(tmp_path, monkeypatch):
    """The folder of the program may be one in which nobody may write."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", {})
    settings = config.load(bundled(), os.environ)
    written = (settings.worker.items, settings.worker.cache_folder, settings.frontier.folder)
    written += (settings.deploy.folder, settings.logs.folder)
    assert [os.path.dirname(folder) for folder in written] == [str(tmp_path)] * 5
