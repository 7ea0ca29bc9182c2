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
        ((0, 0, 0, 0, 0, 0, 0), 0, 0),
        ((0, 0, 0, 0, 0, 0, 1), 0, 1),
        ((-9, 0, 0, 0, 0, 0, 0), 0, 1),
        ((0, -11, 0, 0, 0, 0, 0), 0, 1),
        ((2, 0, 0, 0, 0, 0, 0), 0, 1),
        ((0, 0, 0, 0, 0, 0, 0), 1, 1),
    ],
)
def test_it_fails_when_a_part_failed_or_was_killed(monkeypatch, capsys, statuses, types, failed):
    left = list(statuses)
    monkeypatch.setattr(command, "Session", lambda *_: Ended(left.pop(0)))
    monkeypatch.setattr(command, "Command", lambda *_: Ended(types))
    assert command.main([]) == failed
    assert "8 passed" in capsys.readouterr().out


@pytest.mark.parametrize(("module", "errors"), [("this", 0), ("no_module_of_this_name", 1)])
def test_a_command_that_fails_is_an_error_of_the_sum(capsys, module, errors):
    assert command.Command("types", [module]).tally()["counts"] == {"error": errors}
    assert "types" in capsys.readouterr().out


def test_a_session_that_is_killed_tells_in_which_test(tmp_path):
    file = tmp_path / "test_dies.py"
    file.write_text("import os\n\ndef test_dies():\n    os.kill(os.getpid(), 9)\n")
    options = ["-p", "no:cacheprovider", "-p", "no:randomly", "--rootdir", str(tmp_path)]
    tally = command.Session("dying", [*options, str(file)], str(tmp_path)).tally()
    assert tally["counts"] == {"error": 1}
    assert tally["broken"][0].startswith("dying broke down with status -9, in ")
    assert "test_dies" in tally["broken"][0]
