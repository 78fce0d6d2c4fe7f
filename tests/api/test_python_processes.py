"""The calls work wherever a user makes them: in threads, in a running event loop, in forked and spawned processes."""

import os
from pathlib import Path

import pytest
from corridor import CorridorProvider, Keeping
from programs import program, write_learns, write_plays

import townlet

RUN = """
def run(home, seed=3):
    return townlet.anneal(SCHEDULE, environment=environment, home=home, seed=seed).semantic_hash
"""
THREADS = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(2) as pool:
    for result in pool.map(run, ["one", "two"]):
        print(result)
"""
LOOP = """
import asyncio
async def main():
    print(run("blocking"))
    print(await asyncio.to_thread(run, "thread"))
asyncio.run(main())
"""
FORK = """
import os
print(run("parent"), flush=True)
child = os.fork()
if child == 0:
    print(run("child"), flush=True)
    os._exit(0)
again = run("again")  # beside the child
assert (child, 0) == os.waitpid(child, 0)
print(again)
"""
SPAWN = """
import multiprocessing
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for result in pool.map(run, ["one", "two"]):
            print(result)
"""
PROGRAMS = {"threads": (THREADS, 2), "an event loop": (LOOP, 2), "a forked child": (FORK, 3), "spawned": (SPAWN, 2)}
STOPPED_THREAD = """
import threading
stop, told = threading.Event(), []
def work():
    try:
        townlet.anneal(SCHEDULE, environment=environment, home="home", stopping=stop.is_set)
    except townlet.StoppedError as error:
        told.append(str(error))
stop.set()
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(told[0])
print(townlet.resume(environment=environment, home="home").state)
"""
STOPPED_TASK = """
import asyncio, threading
async def main():
    stop = threading.Event()
    task = asyncio.create_task(
        asyncio.to_thread(townlet.anneal, SCHEDULE, environment=environment, home="home", stopping=stop.is_set)
    )
    stop.set()
    try:
        await task
    except townlet.StoppedError as error:
        print(error)
    print((await asyncio.to_thread(townlet.resume, environment=environment, home="home")).state)
asyncio.run(main())
"""


def schedule_line(schedule: Path) -> str:
    """Return the line of a program that names its schedule."""
    return f"SCHEDULE = {str(schedule)!r}\n"


def assert_same_bits(folder: Path, schedule: Path, name: str) -> None:
    """Compare the hashes that a program prints with that of a run in this process."""
    expected = townlet.anneal(schedule, environment=CorridorProvider(Keeping), home=folder / "here").semantic_hash
    body, count = PROGRAMS[name]
    done = program(folder, schedule_line(schedule) + RUN + body)
    assert 0 == done.returncode, done.stderr
    assert [expected] * count == done.stdout.split()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_run_has_the_same_bits_wherever_it_is_called(tmp_path: Path, name: str) -> None:
    """A program of its own for each, since pytest's process has threads and pools already."""
    if name == "a forked child" and not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    assert_same_bits(tmp_path, write_plays(tmp_path), name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["threads", "a forked child"])
def test_training_has_the_same_bits_wherever_it_is_called(tmp_path: Path, name: str) -> None:
    """Clones, fine-tunes and promotes: torch, its threads and the registry take part."""
    assert_same_bits(tmp_path, write_learns(tmp_path), name)


@pytest.mark.parametrize("body", [STOPPED_THREAD, STOPPED_TASK], ids=["thread", "asyncio"])
def test_outside_the_main_thread_a_function_stops_the_run(tmp_path: Path, body: str) -> None:
    """Signals reach the main thread only; `stopping` reaches the run, and resume ends it."""
    done = program(tmp_path, schedule_line(write_plays(tmp_path)) + body)
    assert 0 == done.returncode, done.stderr
    assert ["stopped in capture", "done"] == done.stdout.splitlines()


def test_progress_is_shown_for_two_threads_at_once_where_it_is_asked_for(tmp_path: Path) -> None:
    """Their lines come in any order, and both runs end."""
    body = RUN.replace("home=home", "home=home, progress=True") + THREADS
    done = program(tmp_path, schedule_line(write_plays(tmp_path)) + body)
    assert 0 == done.returncode, done.stderr
    assert 1 == len({*done.stdout.split()})
    assert 2 == done.stderr.count("→ done always")
