"""The command that runs the suite fails when one of its sessions does, however that one ends."""

import pytest

import tests.__main__ as command


class Ended:
    """A session of pytest that has ended."""

    def __init__(self, status):
        self._status = status

    def wait(self):
        return self._status

    def tally(self):
        return {"counts": {"passed": 1}, "took_s": {}}


@pytest.mark.parametrize(
    ("statuses", "failed"), [((0, 0), 0), ((0, 1), 1), ((-9, 0), 1), ((0, -11), 1), ((2, 0), 1)]
)
def test_it_fails_when_a_session_failed_or_was_killed(monkeypatch, capsys, statuses, failed):
    left = list(statuses)
    monkeypatch.setattr(command, "Session", lambda *_: Ended(left.pop(0)))
    assert command.main([]) == failed
    assert "2 passed" in capsys.readouterr().out
