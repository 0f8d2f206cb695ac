"""Submits tasks to Celery and holds their results; told of each by the backend's subscription, never by asking."""

import json
import sys
import time
from collections import deque

from worker import noop

BODY = "x" * 126  # 128 bytes as JSON
# As long as a task may take before the run has failed.
PATIENCE_SECS = 60


def crowd(tasks, in_flight, seconds):
    """Keeps `in_flight` tasks under way; returns how many were done in how long."""
    under_way, until, count = deque(), time.perf_counter() + seconds, 0
    began = time.perf_counter()
    while count < tasks and time.perf_counter() < until:
        if len(under_way) == in_flight:
            hold(under_way.popleft())
        under_way.append(noop.delay(BODY))
        count += 1
    while under_way:
        hold(under_way.popleft())
    return count, time.perf_counter() - began


def hold(pending):
    # Waiting for the oldest takes in word of all others, too.
    if pending.get(timeout=PATIENCE_SECS) != BODY:
        raise RuntimeError("a task gave back something else")


def one_by_one(singles, seconds):
    times, until = [], time.perf_counter() + seconds
    while len(times) < singles and time.perf_counter() < until:
        began = time.perf_counter()
        hold(noop.delay(BODY))
        times.append((time.perf_counter() - began) * 1e3)
    return times


def main(tasks, in_flight, singles, seconds):
    hold(noop.delay(BODY))  # workers are there
    crowd(tasks // 4, in_flight, seconds / 4)
    times = one_by_one(singles, seconds)
    count, took = crowd(tasks, in_flight, seconds)
    print(json.dumps({"tasks": count, "seconds": took, "singles_ms": times}))


main(*(int(word) for word in sys.argv[1:4]), float(sys.argv[4]))
