"""Who is to blame for the death of a crawl process, and who may be."""

import os
import signal
from types import SimpleNamespace

import pytest

from crawler.clock import ManualClock
from crawler.model.records import Resource, Spec
from crawler.node.crew.deaths import GROUPS, STEP_S, SUSPECT_S, Deaths
from crawler.node.crew.distant_run import DistantRun
from crawler.node.crew.memory_kills import LOOKS, MemoryKills, kernel_kills
from crawler.node.crew.page import Page

CRASH, KILL = -signal.SIGSEGV, -signal.SIGKILL


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def deaths(clock):
    return Deaths(clock)


@pytest.fixture
def page():
    file = Page.create()
    page = Page(file)
    yield page
    page.close()
    os.close(file)


def runs_of(*tasks):
    """Runs of these tasks, by their numbers: 1, 2, 3 …"""
    return {
        number: DistantRun(Resource(Spec(task), id=task, epoch=1), number)
        for number, task in enumerate(tasks, 1)
    }


def dead(page, status, **given):
    """A process that is gone, as its worker has it."""
    about = {"number": 1, "pid": 100, "why": "", "charged": 0, "is_suspicious": False}
    return SimpleNamespace(**{**about, **given}, status=status, glance=page.glance)


def groups(deaths, tasks):
    return [deaths.group_of(task) for task in tasks]


@pytest.mark.parametrize("status", [CRASH, 7, 0, -40])
def test_who_crashes_in_a_callback_is_charged_and_nobody_else(deaths, page, status):
    page.enter(2)
    verdict = deaths.judge(dead(page, status), runs_of("a", "b", "c"))
    assert verdict.charged == 2
    assert "in a callback of task b" in verdict.reason
    assert groups(deaths, "abc") == [0, 0, 0]


@pytest.mark.parametrize("status", [KILL, None])
def test_a_kill_from_outside_charges_nobody(deaths, page, status):
    """Somebody kills all that runs, and a zygote that dies takes its processes with it."""
    page.enter(2)
    assert deaths.judge(dead(page, status), runs_of("a", "b", "c")).charged == 0
    assert deaths.judge(dead(page, status), runs_of("a")).charged == 0
    assert groups(deaths, "abc") == [0, 0, 0]


@pytest.fixture
def kernel():
    """Its counter of the kills for memory."""
    return SimpleNamespace(kills=7)


@pytest.fixture
def watching(clock, kernel):
    return Deaths(clock, MemoryKills(lambda: kernel.kills))


def test_a_kill_by_the_kernel_makes_all_suspects(watching, page, kernel):
    """Whose callback ran then says nothing: it need not be who took the memory."""
    page.enter(2)
    kernel.kills += 1
    verdict = watching.judge(dead(page, KILL), runs_of("a", "b", "c"))
    assert verdict.charged == 0
    assert verdict.reason.endswith("(SIGKILL) by the kernel: memory was short")
    assert 0 not in groups(watching, "abc")


def test_a_kill_by_the_kernel_charges_who_was_alone(watching, page, kernel):
    kernel.kills += 1
    watching.look()
    assert watching.judge(dead(page, KILL), runs_of("a")).charged == 1


def test_each_kill_by_the_kernel_explains_one_death(watching, page, kernel):
    kernel.kills += 2
    assert watching.judge(dead(page, KILL), runs_of("a")).charged == 1
    assert watching.judge(dead(page, KILL), runs_of("b")).charged == 1
    assert watching.judge(dead(page, KILL), runs_of("c")).charged == 0
    assert watching.judge(dead(page, KILL), runs_of("d", "e")).charged == 0
    assert groups(watching, "de") == [0, 0]


def test_a_kill_by_the_kernel_of_long_ago_explains_no_death(watching, page, kernel):
    """It was a program that a spider had started."""
    kernel.kills += 1
    for _ in range(LOOKS):
        watching.look()
    assert watching.judge(dead(page, KILL), runs_of("a")).charged == 0


@pytest.mark.parametrize("status", [CRASH, 7, None])
def test_the_kernel_explains_its_own_kills_alone(watching, page, kernel, status):
    kernel.kills += 1
    watching.judge(dead(page, status), runs_of("a", "b"))
    assert watching.judge(dead(page, KILL), runs_of("c")).charged == 1


def test_where_the_kernel_tells_nothing_a_kill_charges_nobody(clock, page):
    deaths = Deaths(clock, MemoryKills(lambda: None))
    deaths.look()
    assert deaths.judge(dead(page, KILL), runs_of("a")).charged == 0


def laid(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


EVENTS = "low 0\noom 4\noom_kill {}\noom_group_kill 0\n"
CGROUP = "sys/fs/cgroup"


@pytest.mark.parametrize(
    ("files", "kills"),
    [
        (
            {"proc/self/cgroup": "0::/a/b\n", f"{CGROUP}/a/b/memory.events": EVENTS.format(3)},
            3,
        ),
        ({"proc/self/cgroup": "0::/\n", f"{CGROUP}/memory.events": EVENTS.format(4)}, 4),
        ({"proc/self/cgroup": "0::/of/host\n", f"{CGROUP}/memory.events": EVENTS.format(5)}, 5),
        (
            {
                "proc/self/cgroup": "9:cpu:/\n4:memory:/a\n0::/\n",
                f"{CGROUP}/memory/a/memory.oom_control": "under_oom 0\noom_kill 6\n",
                "proc/vmstat": "oom_kill 60\n",
            },
            6,
        ),
        ({"proc/self/cgroup": "0::/\n", "proc/vmstat": "pgfault 1\noom_kill 7\n"}, 7),
        ({"proc/vmstat": "oom_kill 8\n"}, 8),
        ({"proc/vmstat": "pgfault 1\n"}, None),
        ({}, None),
    ],
)
def test_the_counter_is_that_of_the_closest_cgroup(tmp_path, files, kills):
    laid(tmp_path, files)
    assert kernel_kills(tmp_path) == kills


def test_a_crash_in_no_callback_makes_all_suspects(deaths, page):
    page.enter(2)
    page.leave()
    tasks = [f"t{number}" for number in range(2 * GROUPS + 1)]
    assert deaths.judge(dead(page, CRASH), runs_of(*tasks)).charged == 0
    found = groups(deaths, tasks)
    assert len({*found}) == GROUPS
    assert 0 not in found
    assert max(found.count(group) for group in found) == 3


def test_a_callback_that_has_waited_is_suspected_and_not_charged(deaths, page):
    """Others have run meanwhile, and the page knows only who was called last."""
    page.enter(2)
    page.turn()
    assert deaths.judge(dead(page, CRASH), runs_of("a", "b")).charged == 0
    assert 0 not in groups(deaths, "ab")


def test_the_callback_of_a_run_that_is_over_charges_nobody(deaths, page):
    page.enter(9)
    assert deaths.judge(dead(page, CRASH), runs_of("a", "b")).charged == 0


@pytest.mark.parametrize("number", [60, 500])
def test_few_deaths_convict_the_one(deaths, page, number):
    """Each time the suspects of the group that dies are divided again."""
    tasks, guilty, died = [f"t{each}" for each in range(number)], "t33", 0
    while True:
        verdict = deaths.judge(dead(page, CRASH), runs_of(*tasks))
        died += 1
        if verdict.charged:
            break
        tasks = [each for each in tasks if deaths.group_of(each) == deaths.group_of(guilty)]
    assert tasks == [guilty]
    assert died <= (3 if number == 60 else 4)


def test_a_suspect_is_cleared_by_time_and_by_its_end(deaths, page, clock):
    deaths.judge(dead(page, CRASH), runs_of("a", "b", "c"))
    deaths.clear("a")
    assert deaths.group_of("a") == 0
    clock.advance(SUSPECT_S - 1.0)
    assert deaths.group_of("b") != 0
    clock.advance(1.0)
    assert groups(deaths, "bc") == [0, 0]


def test_suspects_of_long_ago_are_forgotten(deaths, page, clock):
    for number in range(5):
        deaths.judge(dead(page, CRASH), runs_of(f"a{number}", f"b{number}"))
        clock.advance(SUSPECT_S)
    assert len(deaths._suspects) == 2


def test_whom_the_worker_has_killed_it_has_judged(deaths, page):
    page.enter(1)
    verdict = deaths.judge(dead(page, KILL, why="too slow", charged=2), runs_of("a", "b"))
    assert verdict.charged == 2
    assert verdict.reason == "its process was ended: too slow"
    assert groups(deaths, "ab") == [0, 0]


def test_who_may_have_taken_the_memory_is_suspected(deaths, page):
    process = dead(page, KILL, why="memory", is_suspicious=True)
    assert deaths.judge(process, runs_of("a", "b")).charged == 0
    assert 0 not in groups(deaths, "ab")


def look(deaths, clock, page, looks, every_s=0.5):
    for _ in range(looks):
        clock.advance(every_s)
        lasts_s = deaths.lasts_s(SimpleNamespace(number=1), page.glance())
    return lasts_s


def test_a_callback_lasts_as_long_as_it_was_seen(deaths, page, clock):
    page.enter(1)
    assert look(deaths, clock, page, 1) == 0.0
    assert look(deaths, clock, page, 10) == 5.0
    page.enter(1)  # another call
    assert look(deaths, clock, page, 1) == 0.0


def test_a_callback_that_lets_the_hub_turn_does_not_compute(deaths, page, clock):
    page.enter(1)
    look(deaths, clock, page, 10)
    page.turn()
    assert look(deaths, clock, page, 1) == 0.0


def test_what_a_worker_did_not_see_counts_little(deaths, page, clock):
    """It may have been stopped, and its process too."""
    page.enter(1)
    look(deaths, clock, page, 1)
    assert look(deaths, clock, page, 1, every_s=3600.0) == STEP_S


def test_a_process_that_is_gone_is_forgotten(deaths, page):
    deaths.lasts_s(SimpleNamespace(number=1), page.glance())
    deaths.judge(dead(page, 0), {})
    assert not deaths._seen
