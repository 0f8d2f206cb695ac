"""Submits tasks to taskiq; told of each saved result, it reads the result from the backend."""

import asyncio
import json
import sys
import time

import uvloop

from worker import SAVED, broker, noop

BODY = "x" * 126  # 128 bytes as JSON
# As long as a task may take before the run has failed.
PATIENCE_SECS = 60

saved = {}


async def told(message):
    waiter = saved.pop(message.subject.removeprefix(SAVED), None)
    if waiter and not waiter.done():
        waiter.set_result(None)


async def task():
    task_id = broker.id_generator()
    waiter = saved[task_id] = asyncio.get_running_loop().create_future()
    await noop.kicker().with_task_id(task_id).kiq(BODY)
    await asyncio.wait_for(waiter, PATIENCE_SECS)
    result = await broker.result_backend.get_result(task_id)
    if result.return_value != BODY:
        raise RuntimeError(f"a task gave back something else: {result}")


async def crowd(tasks, in_flight, seconds):
    """Keeps `in_flight` tasks under way; returns how many were done in how long."""
    began, count = time.perf_counter(), 0

    async def lane():
        nonlocal count
        while count < tasks and time.perf_counter() - began < seconds:
            count += 1
            await task()

    await asyncio.gather(*(lane() for _ in range(in_flight)))
    return count, time.perf_counter() - began


async def one_by_one(singles, seconds):
    times, until = [], time.perf_counter() + seconds
    while len(times) < singles and time.perf_counter() < until:
        began = time.perf_counter()
        await task()
        times.append((time.perf_counter() - began) * 1e3)
    return times


async def main(tasks, in_flight, singles, seconds):
    await broker.startup()
    await broker.client.subscribe(f"{SAVED}>", cb=told)
    await broker.client.flush()
    await task()  # workers are there
    await crowd(tasks // 4, in_flight, seconds / 4)
    times = await one_by_one(singles, seconds)
    count, took = await crowd(tasks, in_flight, seconds)
    print(json.dumps({"tasks": count, "seconds": took, "singles_ms": times}))
    await broker.shutdown()


uvloop.run(main(*(int(word) for word in sys.argv[1:4]), float(sys.argv[4])))
