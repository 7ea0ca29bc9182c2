"""`crawler runspider --resume`: real processes that are killed, stopped and started again."""

import contextlib
import csv
import gzip
import itertools
import json
import math
import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest

from crawler.engine.frontier import redis_run, redis_store
from crawler.engine.frontier.redis_states import RedisStates
from crawler.engine.frontier.store import Step
from crawler.settings.worker import FrontierSettings
from tests import forks
from tests.depth import deep
from tests.integration.lab import ROOT, crawler_here
from tests.site import Site
from tests.site.asked import html
from tests.site.crawling import lines
from tests.waiting import PATIENCE_S, eventually

PAGES = 150
MANY = 480
"""Enough for several checkpoints in the middle."""
LARGE = 900
"""So many that their state takes more room than an empty one by far."""
BATCH = 128 + 16
"""What a checkpoint may miss while the disk is quick: the pages of one batch, and those in
flight."""

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
QUICK = ("-s", "delay_s=0", "-s", "robots=false", "-s", "host_concurrency=8")

SPIDER = """
from crawler import Spider


class Tree(Spider):
    name = "tree"
    start_urls = ["{site}"]

    def parse(self, response):
        yield {{"page": response.url.rsplit("/", 1)[1], "text": "ä" * 20}}
        yield from response.follow_all(css="a", callback=self.parse_page)

    def parse_page(self, response):
        yield from self.parse(response)
"""


def tree(most):
    """/tree/7: links to three pages that come later, and to two that came before."""

    def page(asked):
        number = int(asked.path.rsplit("/", 1)[1])
        later = [to for to in range(3 * number + 1, 3 * number + 4) if to < most]
        known = [max(1, number // 2), max(1, number // 3)]
        return html(f"page {number}", *(f"{asked.path}/../{to}" for to in [*later, *known]))

    return page


class Gate:
    """Lets so many requests through. Later ones wait until it lets more: so a crawl is where the
    test wants it, however slowly the test gets there."""

    def __init__(self):
        self.most = math.inf
        self._came = itertools.count(1)

    def before(self, page):
        """The page behind the gate."""

        def waiting(asked):
            number = next(self._came)
            eventually(lambda: number <= self.most)
            return page(asked)

        return waiting


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def site(gate):
    sizes = {"tree": PAGES, "forest": MANY, "jungle": LARGE}
    pages = {name: gate.before(tree(most)) for name, most in sizes.items()}
    with Site(pages=pages) as site:
        site.gate = gate
        yield site


@pytest.fixture
def folder(tmp_path, site):
    (tmp_path / "tree.py").write_text(SPIDER.format(site=site.url("/tree/0")))
    (tmp_path / "forest.py").write_text(SPIDER.format(site=site.url("/forest/0")))
    (tmp_path / "jungle.py").write_text(SPIDER.format(site=site.url("/jungle/0")))
    return tmp_path


def start(folder, *arguments, file="tree.py", kept=("--resume", "kept")):
    """A process that crawls."""
    command = ["runspider", file, *kept, *QUICK, *arguments]
    return forks.Piped(command, ENVIRONMENT, folder)


def start_limited(folder, most_bytes, *arguments):
    """The jungle as a person starts it, in a process whose files cannot be larger."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    command = ["runspider", "jungle.py", "--resume", "kept", *QUICK, *arguments]
    return subprocess.Popen(
        [*forks.COMMAND, *command],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


def ended(process):
    """Its exit status, and what it told."""
    with process:
        out, err = process.communicate(timeout=2 * PATIENCE_S)
    return process.returncode, out, err


def here(folder, *arguments, file="tree.py", kept=("--resume", "kept")):
    """The same in this process, which saves half a second: for what goes on or is refused."""
    sys.modules.pop("tree", None)
    done = crawler_here("runspider", file, *kept, *QUICK, *arguments, cwd=folder)
    return done.returncode, done.stdout, done.stderr


def cut_off(folder, site, after, *arguments, by=signal.SIGKILL, **options):
    """A crawl that is ended after so many requests."""
    process, told = start(folder, *arguments, **options), []
    site.gate.most = after
    eventually(lambda: len(site.hits) >= after or process.poll() is not None)
    process.send_signal(by)
    if by == signal.SIGINT:  # it waits for the answers under way
        for line in iter(process.stderr.readline, ""):
            told.append(line)
            if "stopping" in line:
                break
    else:
        process.wait(PATIENCE_S)
    site.gate.most = math.inf
    status, out, err = ended(process)
    return status, out, "".join([*told, err])


def asked_twice(site):
    """The pages that were asked for more than once."""
    return {url for url, count in Counter(site.paths()).items() if count > 1}


def pages_of(items):
    return sorted(int(item["page"]) for item in items)


WHOLE = list(range(PAGES))
FORMATS = ("jsonl", "csv", "json", "xml", "json.gz", "csv.gz", "parquet", "db")


def read(folder, kind):
    path = folder / f"items.{kind}"
    if kind == "parquet":
        return pq.read_table(path).to_pylist()
    if kind == "db":
        with contextlib.closing(sqlite3.connect(path)) as database:
            return [{"page": page} for (page,) in database.execute("SELECT page FROM tree")]
    data = gzip.decompress(path.read_bytes()) if kind.endswith("gz") else path.read_bytes()
    text = data.decode()
    if kind.startswith("csv"):
        return list(csv.DictReader(text.splitlines()))
    if kind == "xml":
        return [{"page": item.findtext("page")} for item in ElementTree.fromstring(text)]
    if kind == "jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return json.loads(text)


def test_after_kill_9_nothing_is_lost_and_each_item_is_there_once_in_each_format(folder, site):
    outputs = [word for kind in FORMATS for word in ("-o", f"items.{kind}")]
    for after in (MANY // 2, MANY * 3 // 4):
        status, _, _ = cut_off(folder, site, after, *outputs, file="forest.py")
        assert status == -signal.SIGKILL
    before = len(site.hits)
    status, out, err = ended(start(folder, *outputs, file="forest.py"))
    assert status == 0
    [(done, left)] = re.findall(r"going on with kept: ([\d,]+) pages done, ([\d,]+) requests", err)
    assert 0 < int(done) <= before
    assert int(done) + int(left) <= MANY
    for kind in FORMATS:
        assert pages_of(read(folder, kind)) == list(range(MANY)), kind
    told = int(re.search(r"^repeated +([\d,]+) request", out, re.M)[1].replace(",", ""))
    assert len(asked_twice(site)) <= told
    assert re.search(rf"^pages +{MANY}$", out, re.M)
    assert "the crawl is done; what kept kept of it is removed" in err
    assert not (folder / "kept").exists()


@pytest.mark.faults
@pytest.mark.parametrize("place", ["kept", "redis"])
def test_after_kill_9_little_is_asked_again(folder, site, place, request):
    """How much depends on the disk, which on a busy machine takes its time."""
    kept = request.getfixturevalue("shared_redis").url if place == "redis" else place
    about = {"file": "forest.py", "kept": ("--resume", kept)}
    cut_off(folder, site, MANY * 3 // 4, "-o", "items.jsonl", **about)
    before = len(site.hits)
    status, _, err = ended(start(folder, "-o", "items.jsonl", **about))
    assert status == 0
    [done] = re.findall(r"going on with .*: ([\d,]+) pages done", err)
    assert int(done) >= before - BATCH
    assert len(asked_twice(site)) <= BATCH


def test_after_ctrl_c_nothing_is_asked_again(folder, site):
    kept = ("-s", "JOBDIR=kept")  # Scrapy's name for it
    status, out, err = cut_off(folder, site, 100, "-O", "items.jsonl", by=signal.SIGINT, kept=kept)
    assert status == 130
    assert re.search(r"^result +stopped$", out, re.M)
    assert re.search(r"([\d,]+) requests to go: the same command goes on with kept", err)
    written = len(lines(folder / "items.jsonl"))
    status, out, err = ended(start(folder, "-O", "items.jsonl"))
    assert status == 0
    assert f"going on with kept: {written} pages done" in err
    assert not asked_twice(site)
    assert pages_of(lines(folder / "items.jsonl")) == WHOLE
    assert "repeated" not in out
    assert "items so far" not in err
    assert "-O instead of -o" not in out


def test_what_others_appended_after_a_stop_is_not_cut_off(folder, site):
    cut_off(folder, site, 50, "-o", "items.jsonl", by=signal.SIGINT)
    with (folder / "items.jsonl").open("a") as file:
        file.write('{"page": "-1"}\n')
    assert here(folder, "-o", "items.jsonl")[0] == 0
    assert pages_of(lines(folder / "items.jsonl")) == [-1, *WHOLE]


def test_a_file_that_is_gone_after_a_stop_is_told(folder, site):
    cut_off(folder, site, 50, "-o", "items.jsonl", by=signal.SIGINT)
    (folder / "items.jsonl").unlink()
    status, _, err = here(folder, "-o", "items.jsonl")
    assert status == 0
    assert "a file of items is shorter than the crawl left it" in err


def test_a_file_of_the_same_crawl_is_not_told_as_added_to(folder, site):
    (folder / "old.jsonl").write_text('{"page": "-1"}\n')
    places = ("-o", "items.jsonl")
    here(folder, *places, "-s", "max_pages=20")
    _, out, _ = here(folder, *places, "-o", "old.jsonl")
    assert re.search(r"^items in +items.jsonl$", out, re.M)
    assert re.search(r"^items in +old.jsonl \(added to what it had before", out, re.M)


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (["a.jsonl"], ["b.csv"], "are in {}/a.jsonl; {}/b.csv has only those from now on"),
        (["a.jsonl"], ["a.jsonl", "b.csv"], "are in {}/a.jsonl; {}/b.csv has only those from"),
        (["a.jsonl"], ["b.csv", "c.xml"], "a.jsonl; {}/b.csv and {}/c.xml have only those"),
        (["a.jsonl"], [], "items so far are in {}/a.jsonl; from now on none is kept"),
        ([], ["b.csv"], "items so far were not kept; {}/b.csv has only those from now on"),
        (["a.jsonl", "b.csv"], ["b.csv"], ""),
        ([], [], ""),
    ],
)
def test_it_is_told_where_the_items_so_far_are_if_the_places_are_others(
    folder, site, before, now, told
):
    def crawl(places, most):
        given = [word for place in places for word in ("-o", place)]
        return here(folder, *given, "-s", f"max_pages={most}")[2]

    crawl(before, 10)
    err = crawl(now, 20)
    assert told.replace("{}", str(folder)) in err
    assert ("items so far" in err) is bool(told)
    assert "items so far" not in crawl(sorted({*before, *now}), 30)


def test_what_others_append_meanwhile_is_not_cut_off(folder, site):
    path = folder / "items.jsonl"
    process = start(folder, "-o", "items.jsonl", file="forest.py")
    for after in (50, 100, 200, 300):
        eventually(lambda after=after: len(site.hits) >= after or process.poll() is not None)
        with path.open("a") as file:
            file.write('{"page": "-1"}\n')
    eventually(lambda: len(site.hits) >= MANY * 3 // 4 or process.poll() is not None)
    process.kill()
    assert ended(process)[0] == -signal.SIGKILL
    status, _, err = ended(start(folder, "-o", "items.jsonl", file="forest.py"))
    assert status == 0
    assert "another program writes to a file of items too" in err
    found = Counter(pages_of(lines(path)))
    assert found.pop(-1) == 4
    assert sorted(found) == list(range(MANY))


def test_a_file_that_was_moved_is_not_emptied(folder, site):
    cut_off(folder, site, 50, "-O", "out/items.jsonl", by=signal.SIGINT)
    (folder / "out").rename(folder / "moved")
    written = (folder / "moved/items.jsonl").read_bytes()
    for _ in range(2):
        status, _, err = here(folder, "-O", "moved/items.jsonl")
        assert status != 0
        assert "-O would remove what is there" in err
        assert (folder / "moved/items.jsonl").read_bytes() == written
    (folder / "moved").rename(folder / "out")
    assert here(folder, "-O", "out/items.jsonl")[0] == 0
    assert pages_of(lines(folder / "out/items.jsonl")) == WHOLE
    assert not asked_twice(site)


def test_a_callback_that_is_gone_keeps_the_state_until_its_requests_may_fail(folder, site):
    cut_off(folder, site, 100, "-o", "items.jsonl", by=signal.SIGINT)
    path = folder / "tree.py"
    path.write_text(path.read_text().replace("parse_page", "parse_leaves"))
    before = len(site.hits)
    status, out, err = here(folder, "-o", "items.jsonl")
    assert (status, out, len(site.hits)) == (2, "", before)
    told = r"kept: the spider has no method 'parse_page', for which (\d+) requests wait\."
    [waiting] = re.findall(told, err)
    status, out, err = here(folder, "-o", "items.jsonl", "--drop-missing")
    assert status == 0
    assert "the spider has no method 'parse_page' any more" in err
    [failed] = re.findall(r"^failed +callback parse_page is gone: (\d+)$", out, re.M)
    assert len(lines(folder / "items.jsonl")) + int(failed) <= PAGES
    assert int(failed) == int(waiting) > 0


@pytest.mark.parametrize("limit", ["max_pages", "max_items"])
def test_after_a_limit_it_is_told_that_a_higher_one_goes_on(folder, site, limit):
    for most in (20, 20, 40):
        _, _, err = here(folder, "-s", f"{limit}={most}")
        told = r"requests to go: the same command goes on with kept if you give a higher (\w+)$"
        assert re.findall(told, err, re.M) == [limit]
    _, _, err = here(folder, "-s", f"{limit}=1000")
    assert "the crawl is done" in err


def test_a_time_limit_is_for_each_run(folder, site):
    _, _, err = here(folder, "-s", "max_run_s=0.2", "-s", "delay_s=0.05")
    assert re.search(r"requests to go: the same command goes on with kept$", err, re.M)


def test_a_folder_in_use_is_refused(folder, site):
    with start(folder, "-s", "delay_s=1") as first:
        eventually(lambda: len(site.hits) > 0)
        status, _, err = ended(start(folder))
        first.send_signal(signal.SIGKILL)
    assert status == 2
    assert "kept is in use by another crawl; wait for its end, or choose another folder" in err
    assert "Traceback" not in err


def test_a_damaged_file_is_named_kept_aside_and_never_overwritten(folder, site):
    cut_off(folder, site, 100, "-o", "items.jsonl", by=signal.SIGINT)
    file = folder / "kept" / "frontier.db"
    data = bytearray(file.read_bytes())
    for at in range(4096, len(data), 1024):
        data[at : at + 16] = os.urandom(16)
    file.write_bytes(data)
    before = len(site.hits)
    status, _, err = here(folder, "-o", "items.jsonl")
    assert status == 1
    assert re.search(r"kept/frontier.db is damaged \(.+\). It was renamed to \S+\.damaged-1", err)
    assert "Traceback" not in err
    assert (folder / "kept" / "frontier.db.damaged-1").read_bytes() == data
    assert len(site.hits) == before
    status, _, err = here(folder, "-O", "items.jsonl")
    assert status == 0
    assert "going on" not in err
    assert (folder / "kept" / "frontier.db.damaged-1").read_bytes() == data
    assert pages_of(lines(folder / "items.jsonl")) == WHOLE


@deep
def test_a_full_disk_is_told_and_nothing_is_lost(folder, site):
    some = ("-o", "items.jsonl")
    status, _, err = ended(start_limited(folder, 150_000, *some))
    assert status == 1
    [told] = [line for line in err.splitlines() if "the crawl failed" in line]
    assert "the state of the crawl cannot be kept in kept" in told
    assert "is there room" in told
    assert "Traceback" not in err
    assert len(site.hits) < LARGE
    assert ended(start(folder, *some, file="jungle.py"))[0] == 0
    assert pages_of(lines(folder / "items.jsonl")) == list(range(LARGE))


def test_a_crawl_whose_start_fails_says_that_the_start_is_read_again(folder):
    (folder / "tree.py").write_text(
        "from crawler import Spider\n\n\nclass Tree(Spider):\n    name = 'tree'\n\n"
        "    def start(self):\n        open('no-list')\n        yield\n"
    )
    status, _, err = here(folder)
    assert status == 1
    assert "nothing is left to fetch: the same command reads the start of the spider again" in err


def test_anew_says_what_it_drops(folder, site):
    cut_off(folder, site, 100, "-o", "items.jsonl", by=signal.SIGINT)
    written = len(lines(folder / "items.jsonl"))
    status, _, err = here(folder, "--anew", "-O", "items.jsonl")
    assert status == 0
    assert re.search(rf"beginning anew: kept forgets {written} pages done, \d+ requests to go", err)
    assert pages_of(lines(folder / "items.jsonl")) == WHOLE


def test_another_crawl_in_the_folder_is_refused(folder, site):
    cut_off(folder, site, 20, by=signal.SIGINT)
    status, _, err = here(folder, "-a", "depth=3")
    assert status == 2
    assert "kept keeps a crawl of spider 'tree' with other arguments: depth differs" in err
    assert "--anew" in err


def test_standard_output_is_no_place_for_exact_items_and_that_is_told(folder, site):
    _, out, err = cut_off(folder, site, 50, "-o", "-", by=signal.SIGINT)
    assert "items on standard output cannot be taken back: after a kill some come twice" in err
    assert out.startswith("{")


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (("--resume", ""), "--resume: '' names no folder; name one, or leave the option out"),
        (("-s", "JOBDIR="), "-s JOBDIR: '' names no folder"),
        (("-s", "JOBDIR=", "--resume", "kept"), "-s JOBDIR: '' names no folder"),
        (("-s", "JOBDIR=a", "--resume", "kept"), "name two folders, a and kept; give one"),
        (("--resume", "tree.py"), "tree.py is a file; the state of a crawl needs a folder"),
        (("--resume", "tree.py/kept"), "Not a directory; name a folder in which this user"),
        (("--drop-missing",), "--drop-missing: is about requests that a folder keeps"),
    ],
)
def test_a_folder_that_cannot_be_meant_is_refused_before_anything_is_fetched(
    folder, site, kept, told
):
    status, out, err = here(folder, kept=kept)
    assert (status, out, site.hits) == (2, "", [])
    assert told in err
    assert "Traceback" not in err


def test_the_same_folder_twice_is_one_folder(folder):
    assert here(folder, kept=("-s", "JOBDIR=kept", "--resume", "kept"))[0] == 0


def test_anew_without_a_folder_is_refused(folder):
    status, _, err = here(folder, "--anew", kept=())
    assert status == 2
    assert "--anew: drops what a folder keeps; name it with --resume" in err


def test_what_is_refused_before_it_begins_leaves_no_folder(folder):
    status, _, _ = here(folder, "-a", "start_urls=ftp://h/")
    assert status == 2
    assert not (folder / "kept").exists()


TASKS = """
crawl: {{delay_s: 0, robots: false, host_concurrency: 8}}
spiders: [tree.py]
tasks:
  - {{name: one, spider: tree, parameters: {{start_urls: ["{one}"]}}}}
  - {{name: two, spider: tree, parameters: {{start_urls: ["{two}"]}}}}
"""


@pytest.mark.parametrize("place", ["kept", "redis"])
def test_the_tasks_of_a_file_go_on_and_those_that_are_done_do_not_run_again(
    folder, site, request, place
):
    kept = request.getfixturevalue("shared_redis").url if place == "redis" else place
    tasks = TASKS.format(one=site.url("/links?n=1"), two=site.url("/forest/0"))
    (folder / "tasks.yaml").write_text(tasks)
    command = ["run", "-c", "tasks.yaml", "-o", "out", "--resume", kept]
    with forks.Piped(command, ENVIRONMENT, folder) as process:
        eventually(lambda: len(site.hits) >= MANY // 2 or process.poll() is not None)
        process.kill()
    done = crawler_here(*command, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "one: done in an earlier run; it does not run again until all are done" in done.stderr
    where = "kept/two" if place == "kept" else rf"{kept} \(run/two\)"
    assert re.search(rf"two: going on with {where}: \d+ pages done, \d+ requests to", done.stderr)
    assert f"all tasks are done; what {kept} kept of them is removed" in done.stderr
    assert pages_of(lines(folder / "out" / "two.jsonl")) == list(range(MANY))
    assert len(lines(folder / "out" / "one.jsonl")) == 2
    assert site.paths().count("/links?n=1") == 1
    assert not [path for path in folder.iterdir() if path.name.startswith(("kept", "redis"))]


def test_one_file_for_all_tasks_cannot_go_on(folder, site):
    (folder / "tasks.yaml").write_text(TASKS.format(one="http://h/", two="http://h/"))
    done = crawler_here("run", "-c", "tasks.yaml", "-o", "a.jsonl", "--resume", "kept", cwd=folder)
    assert done.returncode == 2
    assert "'a.jsonl' has the items of all tasks" in done.stderr


def test_an_empty_name_is_no_folder_for_tasks_either(folder, site):
    (folder / "tasks.yaml").write_text(TASKS.format(one="http://h/", two="http://h/"))
    done = crawler_here("run", "-c", "tasks.yaml", "--resume", "", cwd=folder)
    assert done.returncode == 2
    assert "--resume: '' names no folder" in done.stderr


def run_tasks(folder, *options, **crawl):
    given = [f"crawl: {json.dumps({'delay_s': 0, 'robots': False, **crawl})}", "spiders: [tree.py]"]
    path = folder / "tasks.yaml"
    path.write_text("\n".join([*given, path.read_text().partition("spiders: [tree.py]\n")[2]]))
    sys.modules.pop("tree", None)
    command = ("run", "-c", "tasks.yaml", "-o", "out", "--resume", "kept", *options)
    return crawler_here(*command, cwd=folder)


def test_tasks_that_reach_a_limit_keep_their_state_and_say_how_they_go_on(folder, site):
    tasks = TASKS.format(one=site.url("/links?n=1"), two=site.url("/tree/0"))
    (folder / "tasks.yaml").write_text(tasks)
    done = run_tasks(folder, max_pages=20)
    assert done.returncode == 0
    assert (
        "requests to go: the same command goes on with kept if you give a higher max_pages"
        in done.stderr
    )
    assert "one: " not in done.stderr
    assert run_tasks(folder).returncode == 0
    assert pages_of(lines(folder / "out" / "two.jsonl")) == WHOLE
    assert len(asked_twice(site)) <= 8  # a limit does not wait for what is in flight
    assert not (folder / "kept").exists()


def test_tasks_say_what_they_drop_when_they_begin_anew(folder, site):
    tasks = TASKS.format(one=site.url("/links?n=1"), two=site.url("/tree/0"))
    (folder / "tasks.yaml").write_text(tasks)
    run_tasks(folder, max_pages=20)
    done = run_tasks(folder, "--anew")
    assert re.search(r"two: beginning anew: kept/two forgets 2\d pages done", done.stderr)


def test_tasks_that_cannot_use_their_state_are_refused_before_anything_is_fetched(folder, site):
    tasks = TASKS.format(one=site.url("/links?n=1"), two=site.url("/tree/0"))
    (folder / "tasks.yaml").write_text(tasks)
    run_tasks(folder, max_pages=20)
    before = len(site.hits)
    (folder / "tasks.yaml").write_text(tasks.replace("/tree/0", "/tree/1"))
    done = run_tasks(folder)
    assert (done.returncode, len(site.hits)) == (2, before)
    assert "kept/two keeps a crawl of spider 'tree' with other arguments: start_urls" in done.stderr
    (folder / "tasks.yaml").write_text(tasks)
    assert run_tasks(folder).returncode == 0


def test_a_task_whose_callback_is_gone_keeps_its_state(folder, site):
    tasks = TASKS.format(one=site.url("/links?n=1"), two=site.url("/tree/0"))
    (folder / "tasks.yaml").write_text(tasks)
    run_tasks(folder, max_pages=20)
    before = len(site.hits)
    path = folder / "tree.py"
    path.write_text(path.read_text().replace("parse_page", "parse_leaves"))
    for _ in range(2):
        done = run_tasks(folder)
        assert (done.returncode, len(site.hits)) == (1, before)
        assert "two failed: kept/two: the spider has no method 'parse_page', for" in done.stdout
        assert "two: not begun; the same command goes on with kept" in done.stderr
    assert run_tasks(folder, "--drop-missing").returncode == 0
    assert not (folder / "kept").exists()


def test_after_kill_9_nothing_is_lost_with_the_state_in_redis(folder, site, shared_redis):
    kept = ("--resume", shared_redis.url)
    cut_off(folder, site, MANY // 2, "-o", "items.jsonl", file="forest.py", kept=kept)
    status, _, err = ended(start(folder, "-o", "items.jsonl", file="forest.py", kept=kept))
    assert status == 0, err
    assert re.search(r"going on with redis://127\.0\.0\.1:\d+/0 \(runspider/tree\): \d+ pages", err)
    assert "what redis://" in err
    assert pages_of(read(folder, "jsonl")) == list(range(MANY))
    with shared_redis.client() as client:
        assert not client.keys("*runspider*"), "nothing is left of a crawl that is done"


def test_a_state_in_redis_that_another_run_uses_is_refused(folder, site, shared_redis, monkeypatch):
    monkeypatch.setattr(redis_run, "HOLD_S", 0.5)
    monkeypatch.setattr(redis_store, "BEAT_S", 0.05)
    states = RedisStates.of(FrontierSettings(url=shared_redis.url))
    store = states("runspider/tree")
    store.open()
    for more in ((), ("--anew",)):
        status, _, err = here(folder, *more, kept=("--resume", shared_redis.url))
        assert status == 2
        assert "(runspider/tree) is in use by another run" in err
    store.write(Step())
    store.clear()
    states.close()
    assert not site.hits


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("valkey://127.0.0.1/0", "--resume: 'valkey://127.0.0.1/0' given; redis://"),
        ("redi://127.0.0.1/0", "or a folder is allowed"),
        (
            "redis://me:open-sesame@h:x",
            "--resume: 'redis://***@h:x' given; redis://[user[:password]@]host:port/db",
        ),
        ("redis://me:open-sesame@127.0.0.1:{port}", "look at the user and the password"),
    ],
)
def test_a_redis_that_cannot_be_used_is_refused_before_anything_is_fetched(
    folder, site, shared_redis, url, told
):
    status, _, err = here(folder, kept=("--resume", url.format(port=shared_redis.port)))
    assert status == 2
    assert told in err
    assert "open-sesame" not in err
    assert not site.hits
