"""How late etcd's answers come while greenlets keep the hub busy, by switch interval.

    python -m bench.switch_interval

Each interval is measured in a process of its own, one after the other, against one local etcd.
"""

from __future__ import annotations

import subprocess
import sys

INTERVALS_S = (0.005, 0.0005)
PUTS = 150


def measure(endpoint: str, interval_s: float) -> None:
    """Print the quantiles of puts and of watch events under a busy hub."""
    from crawler.runtime import prepare

    prepare()
    sys.setswitchinterval(interval_s)

    import time

    import gevent

    from crawler.coordination.etcd.store import EtcdStore
    from crawler.coordination.store import Put

    store = EtcdStore([endpoint], timeout_s=10)
    sent: dict[str, float] = {}
    seen: dict[str, float] = {}

    def spin() -> None:
        while True:
            end_s = time.perf_counter() + 0.001
            while time.perf_counter() < end_s:
                pass
            gevent.sleep(1e-6)  # 0 would not let the loop look at its sockets each time

    def follow() -> None:
        for batch in watch:
            for event in batch.events:
                seen[event.key] = time.perf_counter()

    watch = store.watch(f"/bench/{interval_s}/", store.range("/bench/").revision + 1)
    gevent.spawn(follow)
    spinners = [gevent.spawn(spin) for _ in range(4)]
    puts = []
    for number in range(PUTS):
        key = f"/bench/{interval_s}/{number}"
        sent[key] = started_s = time.perf_counter()
        store.txn([], [Put(key, b"x")])
        puts.append(time.perf_counter() - started_s)
    deadline_s = time.perf_counter() + 20
    while len(seen) < PUTS and time.perf_counter() < deadline_s:
        gevent.sleep(0.05)
    gevent.killall(spinners)
    events = [seen[key] - sent[key] for key in seen]
    print(f"{interval_s * 1000:6.1f} ms   put {_quantiles(puts)}   event {_quantiles(events)}")


def _quantiles(values: list[float]) -> str:
    ordered = sorted(values)
    half, most = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    return f"p50 {half * 1000:8.1f} ms, p99 {most * 1000:8.1f} ms"


def main() -> None:
    """Start etcd, and measure each interval in turn, twice."""
    from crawler.runtime import prepare

    prepare()
    from crawler.local.etcd import EmbeddedEtcd

    etcd = EmbeddedEtcd()
    etcd.start()
    try:
        for interval_s in INTERVALS_S * 2:
            command = [sys.executable, "-m", "bench.switch_interval", etcd.endpoint]
            subprocess.run([*command, str(interval_s)], check=True)
    finally:
        etcd.stop()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(sys.argv[1], float(sys.argv[2]))
    else:
        main()
