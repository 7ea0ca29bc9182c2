"""What the process is prepared for."""

import gc

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
