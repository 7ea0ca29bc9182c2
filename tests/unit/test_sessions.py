"""The command that runs the suite fails when one of its sessions does, however that one ends."""

import pytest

import tests.__main__ as command


class Ended:
    """A session of pytest, or the check of types, that has ended."""

    def __init__(self, status):
        self._status = status

    def wait(self):
        return self._status

    def tally(self):
        return {"counts": {"passed": 1}, "took_s": {}}


@pytest.mark.parametrize(
    ("statuses", "types", "failed"),
    [
        ((0, 0, 0, 0, 0, 0), 0, 0),
        ((0, 0, 0, 0, 0, 1), 0, 1),
        ((-9, 0, 0, 0, 0, 0), 0, 1),
        ((0, -11, 0, 0, 0, 0), 0, 1),
        ((2, 0, 0, 0, 0, 0), 0, 1),
        ((0, 0, 0, 0, 0, 0), 1, 1),
    ],
)
def test_it_fails_when_a_part_failed_or_was_killed(monkeypatch, capsys, statuses, types, failed):
    left = list(statuses)
    monkeypatch.setattr(command, "Session", lambda *_: Ended(left.pop(0)))
    monkeypatch.setattr(command, "Command", lambda *_: Ended(types))
    assert command.main([]) == failed
    assert "7 passed" in capsys.readouterr().out


@pytest.mark.parametrize(("module", "errors"), [("this", 0), ("no_module_of_this_name", 1)])
def test_a_command_that_fails_is_an_error_of_the_sum(capsys, module, errors):
    assert command.Command("types", [module]).tally()["counts"] == {"error": errors}
    assert "types" in capsys.readouterr().out
