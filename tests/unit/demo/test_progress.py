"""How the progress of tasks is drawn and written."""

import io
import itertools
import re

import pytest

from crawler.clock import ManualClock
from crawler.model.records import Counts, Owner, Resource, Spec, State
from crawler.terminal import render, tables
from crawler.terminal.progress import LiveProgress, PlainProgress, progress_to
from crawler.terminal.render import Look

PLAIN = Look(unicode=False, colour=False)


def task(name, state=State.RUNNING, worker="worker-1", pages=0, reason="", **counts):
    owner = Owner(f"go.micro.server.{worker}", "127.0.0.1:9090") if worker else None
    numbers = Counts(pages=pages, **counts)
    return Resource(Spec(name), owner=owner, state=state, counts=numbers, reason=reason)


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and shows what a terminal of that size would."""

    encoding = "utf-8"

    def isatty(self):
        return True

    @property
    def screen(self):
        lines, row = [""], 0
        for token in re.findall(r"\x1b\[\??\d*[A-Za-z]|[^\x1b\r\n]+|[\r\n]", self.getvalue()):
            if token == "\n":
                row += 1
                lines.extend([""] * (row + 1 - len(lines)))
            elif token.endswith("A") and token.startswith("\x1b"):
                row -= int(token[2:-1])
            elif token == "\x1b[J":
                del lines[row + 1 :]
                lines[row] = ""
            elif not token.startswith(("\x1b", "\r")):
                lines[row] = token
        return "\n".join(lines)


def test_a_bar_moves_to_and_fro():
    drawn = [render.bar(State.RUNNING, 8, tick, PLAIN) for tick in range(13)]
    assert drawn[0] == "##------"
    assert drawn[3] == "---##---"
    assert drawn[6] == "------##"
    assert drawn[9] == "---##---"
    assert drawn[12] == drawn[0]
    assert all(one != other for one, other in itertools.pairwise(drawn))


@pytest.mark.parametrize("width", range(1, 30))
def test_a_bar_has_the_width_asked_for(width):
    for state in State:
        for tick in range(60):
            assert len(render.bar(state, width, tick, PLAIN)) == width


def test_a_bar_is_empty_before_and_full_after():
    assert render.bar(State.PENDING, 4, 7, PLAIN) == render.bar(State.ASSIGNED, 4, 7, PLAIN)
    assert render.bar(State.PENDING, 4, 7, PLAIN) == "----"
    assert render.bar(State.DONE, 4, 7, PLAIN) == render.bar(State.FAILED, 4, 7, PLAIN) == "####"


def test_lines_show_task_worker_bar_counters_and_state():
    tasks = [
        task("fiction", pages=120, items=101, failures=2),
        task("sea", State.PENDING, worker=""),
    ]
    assert render.bars(tasks, 80, 0, PLAIN) == [
        "fiction  worker-1  ##---------     120 pages    101 items    2 failures  running",
        "sea      -         -----------       0 pages      0 items  pending",
    ]


def test_one_failure_takes_the_columns_of_several():
    one, several = (render.counters(task("a", pages=n, items=n, failures=n)) for n in (1, 2))
    assert one.split() == ["1", "page", "1", "item", "1", "failure"]
    assert len(one) == len(several)


@pytest.mark.parametrize("width", [*range(1, 30), 45, 60, 79, 80, 100, 119])
def test_no_line_is_wider_than_the_terminal(width):
    tasks = [
        task("a-rather-long-name-of-a-task", pages=10**7, failures=10**5),
        task("児童書", State.DONE),
    ]
    for line in render.bars(tasks, width, 3, Look(colour=False)):
        assert tables.display_width(line) <= width


def test_what_matters_most_stays_on_a_narrow_terminal():
    tasks = [task("fiction", pages=120, items=101)]
    assert "worker-1" not in render.bars(tasks, 55, 0, PLAIN)[0]
    assert "#" in render.bars(tasks, 55, 0, PLAIN)[0]
    assert render.bars(tasks, 45, 0, PLAIN)[0] == "fiction     120 pages    101 items  running"


def test_colour_tells_the_state_and_ends_with_the_line():
    lines = {state: render.bars([task("a", state)], 80, 0, Look())[0] for state in State}
    assert len({line[:5] for line in lines.values()}) == len(State)
    assert all(line.endswith("\x1b[0m") for line in lines.values())


def test_wide_letters_take_two_columns():
    assert tables.display_width("児童 a\u0301") == 6
    assert render.fitted("児童書", 5, Look()) == "児童…"
    assert render.fitted("児童書", 4, PLAIN) == "児~ "
    assert render.fitted("ab", 4, PLAIN) == "ab  "
    assert render.fitted("ab", 0, PLAIN) == ""


def test_the_table_is_aligned_and_has_totals():
    tasks = [
        task("fiction", State.DONE, pages=277, items=259, failures=2, seconds=6.34),
        task("sea", State.FAILED, worker="", pages=1, failures=1, seconds=0.5),
    ]
    assert render.table(tasks).splitlines() == [
        "task     worker    pages  items  failures  seconds  state",
        "-------  --------  -----  -----  --------  -------  ------------",
        "fiction  worker-1    277    259         2      6.3  done",
        "sea      -             1      0         1      0.5  failed",
        "-------  --------  -----  -----  --------  -------  ------------",
        "total                278    259         3      6.3  longest task",
    ]
    assert render.table(tasks, elapsed_s=9.0).splitlines()[-1].endswith(" 9.0  start to end")
    assert render.table([]).splitlines()[-1].split()[:5] == ["total", "0", "0", "0", "0.0"]


def test_a_terminal_is_redrawn_in_place():
    terminal = Terminal()
    progress = LiveProgress(terminal, PLAIN, ManualClock())
    progress.update([task("fiction", pages=1), task("sea", State.PENDING, worker="")])
    progress.update([task("fiction", pages=2), task("sea", pages=9)])
    lines = terminal.screen.splitlines()
    assert [line.split()[0] for line in lines] == ["fiction", "sea", "2"]
    assert " 2 pages" in lines[0]
    assert lines[2] == "2 tasks: 2 running; 11 pages, 0 items, 0 failures"


def test_the_table_takes_the_place_of_the_bars():
    terminal = Terminal()
    progress = LiveProgress(terminal, PLAIN, ManualClock())
    progress.update([task("fiction", pages=1)])
    progress.finish([task("fiction", State.FAILED, reason="no such host")])
    assert terminal.screen.splitlines()[0].startswith("task ")
    assert terminal.screen.splitlines()[-1] == "fiction failed: no such host"


@pytest.mark.parametrize("state", [State.RUNNING, State.ASSIGNED])
def test_what_has_no_result_at_the_end_was_stopped_and_not_failed(state):
    terminal = Terminal()
    LiveProgress(terminal, PLAIN, ManualClock()).finish([task("sea", state), task("x", State.DONE)])
    ends = [line.split()[-1] for line in terminal.screen.splitlines()]
    assert ends[2:4] == ["stopped", "done"]
    assert "failed" not in terminal.screen


def test_more_tasks_than_rows_show_those_that_run():
    terminal = Terminal()
    progress = LiveProgress(terminal, PLAIN, ManualClock())
    waiting = [task(f"waits-{number}", State.PENDING, worker="") for number in range(40)]
    progress.update([*waiting, task("runs")])
    lines = terminal.screen.splitlines()
    assert len(lines) == 23  # of the 24 rows that a stream without a size has
    assert lines[0].startswith("runs ")
    assert lines[-2].rstrip() == "and 20 more"
    assert lines[-1].startswith("41 tasks: 40 pending, 1 running;")


def test_each_update_is_one_write_that_leaves_the_cursor_visible():
    writes = []
    terminal = Terminal()
    terminal.write = writes.append
    progress = LiveProgress(terminal, PLAIN, ManualClock())
    progress.update([task("fiction"), task("sea")])
    assert len(writes) == 1
    assert writes[0].startswith("\x1b[?25l")
    assert writes[0].endswith("\x1b[?25h")


def test_bars_that_are_left_stay_and_the_next_stand_below_the_line_that_follows():
    terminal = Terminal()
    progress = LiveProgress(terminal, PLAIN, ManualClock())
    progress.update([task("fiction")])
    progress.leave()
    terminal.write("crawler: stopping\n")
    for _ in range(2):
        progress.update([task("fiction")])
    begins = [line.split()[0] for line in terminal.screen.splitlines()]
    assert begins == ["fiction", "1", "crawler:", "fiction", "1"]


def test_bars_move_with_the_clock():
    terminal, clock = Terminal(), ManualClock()
    progress = LiveProgress(terminal, PLAIN, clock)
    progress.update([task("fiction")])
    before = terminal.screen
    clock.advance(0.15)
    progress.update([task("fiction")])
    assert terminal.screen != before


def test_plain_output_has_a_line_for_each_change():
    stream = io.StringIO()
    progress = PlainProgress(stream, ManualClock())
    waits = task("fiction", State.PENDING, worker="", reason="no worker has the spider books")
    for _ in range(3):
        progress.update([waits])
    progress.update([task("fiction")])
    progress.update([task("fiction", pages=10)])
    progress.update([task("fiction", worker="worker-2").replace(epoch=2)])
    progress.update([task("fiction", State.DONE, "worker-2", 277, items=259, seconds=6.0)])
    assert stream.getvalue().splitlines() == [
        "fiction: pending (no worker has the spider books)",
        "fiction: running on worker-1",
        "fiction: running on worker-2",
        "fiction: done on worker-2, 277 pages, 259 items, 0 failures in 6.0 s",
    ]


def test_plain_output_has_a_summary_every_two_seconds_at_most():
    stream, clock = io.StringIO(), ManualClock()
    progress = PlainProgress(stream, clock)
    for pages in range(61):
        progress.update([task("fiction", pages=pages)])
        clock.advance(0.1)
    summaries = [line for line in stream.getvalue().splitlines() if line.startswith("1 task: ")]
    assert len(summaries) == 3
    for _ in range(50):
        progress.update([task("fiction", pages=60)])
        clock.advance(0.1)
    assert len(stream.getvalue().splitlines()) == 1 + 3  # what is not new is not repeated


def test_plain_output_ends_with_the_table():
    stream = io.StringIO()
    progress = PlainProgress(stream, ManualClock())
    progress.finish([task("fiction", State.DONE, seconds=2.0)], elapsed_s=3.0)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "fiction: done on worker-1, 0 pages, 0 items, 0 failures in 2.0 s"
    assert lines[1].startswith("task ")
    assert lines[-1].split() == ["total", "0", "0", "0", "3.0", "start", "to", "end"]


def test_the_stream_decides_what_is_shown():
    assert isinstance(progress_to(Terminal()), LiveProgress)
    assert isinstance(progress_to(Terminal(), live=False), PlainProgress)
    assert isinstance(progress_to(io.StringIO()), PlainProgress)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_knows_no_unicode_gets_ascii(encoding):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    progress = progress_to(stream, live=True, clock=ManualClock())
    progress.update([task("児童書-with-a-name-that-does-not-fit-into-this-terminal-at-all" * 2)])
    assert raw.getvalue().isascii()


def test_unicode_is_drawn_where_it_can_be_read():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="UTF8")
    progress_to(stream, live=True).update([task("fiction")])
    assert "━" in raw.getvalue().decode()
