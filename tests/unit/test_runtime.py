"""What the process is prepared for."""

import gc
import subprocess
import sys

import grpc


def test_a_channel_that_is_collected_is_not_closed_wherever_the_collector_runs():
    """It would wait for its calls there, with whatever lock is held at that moment."""
    channel = grpc.insecure_channel("127.0.0.1:1")
    within = channel._channel
    del channel
    gc.collect()
    # A closed one raises ValueError.
    assert within.check_connectivity_state(False) is not None
    within.close(grpc._cython.cygrpc.StatusCode.cancelled, "the test is over")
    grpc._cython.cygrpc.gevent_decrement_channel_count()  # as its own end would have done


def test_a_process_allows_itself_as_many_files_as_the_system_does():
    """The soft limit of most systems is 1,024; the hard one is what counts."""
    code = "from crawler import runtime; runtime.patch(); import os; os.system('ulimit -n')"
    command = f'ulimit -S -n 100; ulimit -H -n 900; exec {sys.executable} -c "{code}"'
    assert subprocess.check_output(["bash", "-c", command], text=True) == "900\n"
