"""What goes wrong in a worker process becomes a sentence, and no process is left behind."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import faulty_worlds
import gymnasium
import pytest
from faulty_worlds import FaultyProvider
from worker_views import children, digest, eventually, fault, faulty, running, step_on

from townlet import api
from townlet.env.workers import WorkerProvider, with_workers
from townlet.errors import BadInputError, EnvironmentFaultError

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("_leaves_nothing")]


def test_an_error_reads_as_in_one_process() -> None:
    """World, episode and decision are those of the environment, wherever it is stepped."""
    alone = fault(faulty("raise", 0))
    assert "ZeroDivisionError: a pole of no length in world 2, episode 1, decision 2" in alone
    assert {fault(faulty("raise", n)) for n in (1, 2, 3)} == {alone}


def test_an_error_without_a_place_gets_one() -> None:
    """An environment that lets any exception pass ends the visit with the worlds, the seed and the decision."""
    found = fault(faulty("raise", 2, bare=True))
    assert found == (
        "environment faulty/default: worlds 2–3 of seed 7 at decision 3: ZeroDivisionError: a pole of no length"
    )


def test_bad_input_stays_bad_input() -> None:
    """What a person can mend is no fault of the environment."""
    with pytest.raises(BadInputError, match=r"^the task file is empty$"):
        step_on(faulty("refuse", 2, bare=True))


@pytest.mark.parametrize(
    ("mishap", "end"),
    [("exit", "ended with exit code 3"), ("leave", "ended with exit code 1"), ("crash", "was ended by SIGSEGV")],
)
def test_a_process_that_dies_is_named(mishap: str, end: str) -> None:
    """Environment, worlds, seed, decision and the way it ended."""
    environment = faulty(mishap, 2)
    found = fault(environment)
    assert found.startswith(
        f"environment faulty/default: worlds 2–3 of seed 7 at decision 3: its worker process {end};"
    )
    assert not children()
    with pytest.raises(EnvironmentFaultError, match="have ended; make it again"):
        environment.reset()


def test_a_process_that_is_killed_between_decisions_is_named() -> None:
    """As the kernel does where memory runs out."""
    environment = faulty("nothing", 1)
    environment.reset()
    os.kill(children().pop(), signal.SIGKILL)
    assert "worlds 0–3 of seed 7 at decision 0: its worker process was ended by SIGKILL" in fault(environment)


def test_a_process_that_is_killed_while_it_waits_is_replaced() -> None:
    """Nothing was lost with it."""
    provider = with_workers(FaultyProvider(), 2)
    provider.make("default", worlds=4, seed=7, max_steps=9).reset()
    before = children()
    os.kill(min(before), signal.SIGKILL)
    assert eventually(lambda: not running(min(before)))
    assert digest(provider.make("default", worlds=4, seed=7, max_steps=9), 12)
    assert children() - before


def test_a_process_that_hangs_is_killed_after_its_time() -> None:
    """The sentence says what to do."""
    started = time.monotonic()
    found = fault(faulty("hang", 2, 0.5))
    assert time.monotonic() - started < 10
    assert "worlds 2–3 of seed 7 at decision 3: no answer in 0.5 s" in found
    assert "raise step_timeout, or retry the run" in found


def test_what_an_environment_prints_goes_to_the_output_of_the_program(capfd: pytest.CaptureFixture[str]) -> None:
    """The commands have a channel of their own."""
    alone, workers = digest(faulty("nothing", 0), 12), digest(faulty("print", 2), 12)
    assert alone == workers
    assert capfd.readouterr().out.count("below") == 2


def test_an_interrupt_leaves_no_answer_behind() -> None:
    """Where a signal's handler raises while workers play, the environment is over and not one answer late."""
    environment = faulty("hang", 2)
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            step_on(environment)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    with pytest.raises(EnvironmentFaultError, match="have ended; make it again"):
        environment.reset()


def test_signals_to_the_whole_group_do_not_reach_the_worlds() -> None:
    """Ctrl-C and a supervisor's SIGTERM go to the parent, which stops at its safe point."""
    environment = faulty("nothing", 2)
    environment.reset()
    for process in children():
        os.kill(process, signal.SIGINT)
        os.kill(process, signal.SIGTERM)
    assert digest(environment, 12)


def test_what_cannot_be_sent_is_refused_with_the_remedy() -> None:
    """A function without a name in a module, for example."""
    provider = with_workers(FaultyProvider(luggage=lambda: None), 2)
    with pytest.raises(BadInputError, match="define it at the top level of a module, or set workers: 0"):
        provider.make("default", worlds=4, seed=7, max_steps=9)


def test_what_a_worker_cannot_import_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class that this process has put together, for example."""
    monkeypatch.setattr(
        faulty_worlds, "Later", type("Later", (FaultyProvider,), {"__module__": "faulty_worlds"}), False
    )
    provider = with_workers(faulty_worlds.Later(), 2)  # type: ignore[attr-defined]
    with pytest.raises(BadInputError, match=r"cannot read the environment .*AttributeError.*set workers: 0"):
        provider.make("default", worlds=4, seed=7, max_steps=9)


def test_a_run_says_so_once_before_anything_is_written(tmp_path: Path) -> None:
    """A lambda that makes the environment, from Python."""
    text = (Path(__file__).parents[2] / "schedules" / "cartpole.yaml").read_text()
    (tmp_path / "schedule.yaml").write_text(text.replace("worlds: 32", "worlds: 32, workers: 2"))
    with pytest.raises(BadInputError, match=r"^environment \S+ cannot be sent to a worker process .*workers: 0$"):
        api.anneal(
            tmp_path / "schedule.yaml",
            environment=lambda: gymnasium.make("CartPole-v1"),
            teacher=lambda seen: int(seen[2] + 0.5 * seen[3] > 0),
            home=tmp_path / "home",
        )
    assert not (tmp_path / "home").exists()


SCRIPT = """
import sys, time
sys.path.insert(0, {tests!r})
from faulty_worlds import FaultyProvider
from townlet.env.workers import with_workers
from townlet.errors import BadInputError

class Mine(FaultyProvider):
    pass

def main():
    environment = with_workers({provider}(mishap={mishap!r}), 2).make("default", worlds=4, seed=7, max_steps=9)
    environment.reset()
    print("made", flush=True)
    {rest}
"""
GUARD = "if __name__ == '__main__':\n    main()\n"
REFUSE = "try:\n    main()\nexcept BadInputError as error:\n    print(error)\n"


def script(directory: Path, end: str, *, provider: str = "Mine", mishap: str = "nothing", rest: str = "") -> list[str]:
    """Write a program and return the command that starts it."""
    path = directory / "program.py"
    text = SCRIPT.format(tests=str(Path(__file__).parent), provider=provider, mishap=mishap, rest=rest)
    path.write_text(text + end)
    return [sys.executable, str(path)]


def test_a_script_may_define_the_environment_itself(tmp_path: Path) -> None:
    """A worker runs it again, without what stands under the guard."""
    done = subprocess.run(script(tmp_path, GUARD), capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("made\n", "")


def test_a_script_without_a_guard_is_told_of_it(tmp_path: Path) -> None:
    """No worker starts the run a second time."""
    done = subprocess.run(script(tmp_path, "main()\n"), capture_output=True, text=True, check=False)
    assert re.search(
        r"BadInputError: .*program\.py: a worker process ran it again.*__name__ == '__main__'", done.stderr
    )
    assert "made" not in done.stdout


def test_a_script_that_defines_nothing_needs_no_guard(tmp_path: Path) -> None:
    """It is not run again."""
    command = script(tmp_path, "main()\n", provider="FaultyProvider")
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "made\n"


@pytest.mark.parametrize(
    ("mishap", "rest"),
    [
        ("nothing", "time.sleep(600)"),
        ("hang", "[environment.step(__import__('numpy').zeros((4, 1, 1), int)) for _ in 'abc']"),
    ],
    ids=["waits", "hangs"],
)
def test_a_parent_that_is_killed_leaves_no_process(tmp_path: Path, mishap: str, rest: str) -> None:
    """Workers notice the closed socket, even while their environment hangs."""
    command = script(tmp_path, GUARD, mishap=mishap, rest=rest)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "made\n"
        time.sleep(0.5)
        workers = children(parent.pid)
        assert len(workers) == 2
        parent.kill()
    assert eventually(lambda: not any(map(running, workers)))


def test_a_program_that_just_ends_leaves_no_process(tmp_path: Path) -> None:
    """The environment is still there when the interpreter stops."""
    done = subprocess.run(
        script(tmp_path, "main.kept = []\n" + GUARD, rest="main.kept.append(environment)"),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""


def test_a_worker_has_one_thread_unless_told_otherwise(tmp_path: Path) -> None:
    """Workers are the parallelism; a person's own setting stands."""
    environment = faulty("nothing", 1)
    environment.reset()
    settings = Path(f"/proc/{children().pop()}/environ").read_bytes().split(b"\0")
    assert b"NUMBA_NUM_THREADS=" + os.environ.get("NUMBA_NUM_THREADS", "1").encode() in settings


def test_workers_have_none_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that is made in a worker says why not."""
    monkeypatch.setenv("TOWNLET_WORKER", "1")
    with pytest.raises(BadInputError, match="cannot have workers itself"):
        WorkerProvider(inner=FaultyProvider(), workers=2)
