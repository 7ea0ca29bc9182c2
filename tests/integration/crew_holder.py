"""A worker without a cluster: a crew, a guard, and callbacks that compute for ever.

    python -m tests.integration.crew_holder FOLDER DEADLINE_S

It writes the numbers of its processes when all compute. Its lease is over after DEADLINE_S seconds.
If that is 0, it has no guard: so its processes must end without one when it dies.
"""

from __future__ import annotations

import json
import sys

import gevent

from crawler.clock import SystemClock
from crawler.node.guard.guard import NoGuard, guard_of
from crawler.settings.sections import Settings
from crawler.supervision import Supervisor
from tests.crews import Place
from tests.waiting import eventually

TTL_S = 5.0


def main(folder, deadline_s):
    clock = SystemClock()
    guard = guard_of(Settings(), clock) if deadline_s else NoGuard()
    guard.start(Supervisor("holder", clock=clock))
    with Place(folder, 2, guard=guard) as place:
        place.full()
        runs = place.runs()
        for number, do in enumerate(("compute", "match")):
            host = f"127.0.0.{number + 2}"
            runs.start(place.resource(do, "odd", do=do, host=host))
        processes = place.serving()
        eventually(lambda: all(each.glance().slot for each in processes))
        until_s = clock.monotonic() + deadline_s
        if deadline_s:
            guard.hold(0, TTL_S)
            guard.deadline(until_s)
        pids = [each.pid for each in processes]
        told = {"pids": pids, "zygote": place.crew.spawner.pid, "until_s": until_s}
        print(json.dumps(told), flush=True)
        gevent.sleep(3600)


if __name__ == "__main__":
    from crawler.runtime import prepare

    prepare()
    main(sys.argv[1], float(sys.argv[2]))
