"""The supervisor alone, over small children."""

import logging
import os
import signal
import time

import pytest

from project.embedded.supervisor import ANNOUNCE_SECONDS, Child, Supervisor
from tests.processes import Processes, Started, wait_until

SUPERVISE = """
import logging, sys
from project.embedded.supervisor import Child, Supervisor
logging.basicConfig(format="%(message)s", level=logging.INFO)
scripts = dict(argument.split("=", 1) for argument in sys.argv[1:])
Supervisor(
    [
        Child(name=name, command=[sys.executable, "-c", script], stage=number)
        for number, (name, script) in enumerate(scripts.items())
    ]
).run()
"""

# Says what it gets, and ends when a file of its name appears: a process in no hurry.
CHILD = """
import os, pathlib, signal, time
name, may_end = {name!r}, pathlib.Path(os.environ["DATA_DIR"] + {name!r})
say = lambda *words: os.write(1, " ".join([name, *words, "\\n"]).encode())
for number in {signals!r}:
    signal.signal(number, lambda number, _: say("got", signal.Signals(number).name))
say("runs")
while not may_end.exists():
    time.sleep(0.05)
"""

WITH_GRANDCHILD = """
import os, signal, subprocess, sys
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
print(os.getpid(), "has", grandchild.pid, flush=True)
signal.pause()
"""


def slow(name: str, *signals: signal.Signals) -> str:
    script = CHILD.format(name=name, signals=[int(number) for number in signals])
    return f"{name}={script}"


def supervise(processes: Processes, *scripts: str) -> Started:
    return processes.start("-c", SUPERVISE, *scripts)


def let_end(processes: Processes, name: str) -> None:
    (processes.folder / f"data{name}").touch()


def test_pauses_grow_to_half_a_minute(caplog):
    child = Child(name="beat", command=["beat"], started_at=time.monotonic())

    for _ in range(7):
        child.start_later("exited with code 1")

    assert [record.args["retry_in_seconds"] for record in caplog.records] == [
        1,
        2,
        4,
        8,
        16,
        30,
        30,
    ]
    assert caplog.messages[0] == "beat exited with code 1: starting it again in 1 s"


def test_pauses_begin_anew_after_a_good_run(caplog):
    child = Child(name="beat", command=["beat"], started_at=time.monotonic() - 60, failures=5)

    child.start_later("exited with code 1")

    assert caplog.records[0].args["retry_in_seconds"] == 1


def test_command_that_cannot_start_is_tried_again(caplog):
    child = Child(name="beat", command=["/no/such/program"])

    child.start()

    assert child.process is None
    assert "beat does not start ([Errno 2]" in caplog.text
    assert child.start_at > time.monotonic()


def test_child_that_ends_is_started_again(processes):
    supervisor = supervise(processes, "fails=raise SystemExit(3)", "ends=pass")

    supervisor.says("ends exited with code 0: starting it again in 1 s")
    supervisor.says("fails exited with code 3: starting it again in 1 s")
    supervisor.says("fails exited with code 3: starting it again in 2 s")

    supervisor.press_ctrl_c()
    assert supervisor.exit_code() == 0


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_children_stop_in_order_each_in_its_own_time(processes, stop):
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    supervisor = supervise(processes, slow("first", *signals), slow("second", *signals))
    supervisor.says("first runs")
    supervisor.says("second runs")

    os.killpg(supervisor.process.pid, stop)
    supervisor.says("first got SIGTERM")
    assert "second got" not in supervisor.output()
    let_end(processes, "first")
    supervisor.says("second got SIGTERM")
    let_end(processes, "second")

    assert supervisor.exit_code() == 0
    # The signal of the group has reached none of them: one SIGTERM each, from the supervisor.
    assert supervisor.output().count(" got ") == 2
    assert "starting it again" not in supervisor.output()


def test_children_of_one_stage_stop_together(processes):
    signals = (signal.SIGINT, signal.SIGTERM)
    children = slow("first", *signals), slow("first too", *signals), slow("second", *signals)
    supervisor = processes.start(
        "-c", SUPERVISE.replace("stage=number", "stage=number // 2"), *children
    )
    for name in ("first", "first too", "second"):
        supervisor.says(f"{name} runs")

    supervisor.press_ctrl_c()
    supervisor.says("first got SIGTERM")
    supervisor.says("first too got SIGTERM")
    let_end(processes, "first")
    supervisor.says("first exited with code 0")
    assert "second got" not in supervisor.output()
    let_end(processes, "first too")
    supervisor.says("second got SIGTERM")
    let_end(processes, "second")

    assert supervisor.exit_code() == 0
    assert supervisor.output().count(" got ") == 3


def test_announcement_is_repeated_until_it_succeeds():
    answers = [False, False, True]
    supervisor = Supervisor([], announce=lambda: answers.pop(0))

    waits = [supervisor.next_wait() for _ in range(4)]

    assert waits == [ANNOUNCE_SECONDS, ANNOUNCE_SECONDS, None, None]
    assert answers == []


def test_second_sigterm_changes_nothing(processes):
    supervisor = supervise(processes, slow("patient", signal.SIGTERM, signal.SIGQUIT))
    supervisor.says("patient runs")

    supervisor.process.terminate()
    supervisor.says("patient got SIGTERM")
    supervisor.process.terminate()
    let_end(processes, "patient")

    assert supervisor.exit_code() == 0
    assert "SIGQUIT" not in supervisor.output()


def test_child_that_outlives_the_second_ctrl_c_is_killed(processes):
    hurried = SUPERVISE.replace(
        "logging.basicConfig",
        "import project.embedded.supervisor as s\ns.KILL_AFTER_SECONDS = 0.5\nlogging.basicConfig",
    )
    supervisor = processes.start("-c", hurried, slow("stubborn", signal.SIGTERM, signal.SIGQUIT))
    supervisor.says("stubborn runs")

    supervisor.press_ctrl_c()
    supervisor.says("stubborn got SIGTERM")
    supervisor.press_ctrl_c()

    supervisor.says("stubborn died of SIGKILL")
    assert supervisor.exit_code() == 0


def test_second_and_a_third_ctrl_c_end_the_waiting(processes):
    supervisor = supervise(processes, slow("stubborn", signal.SIGTERM, signal.SIGQUIT))
    supervisor.says("stubborn runs")

    supervisor.press_ctrl_c()
    supervisor.says("stubborn got SIGTERM")
    supervisor.press_ctrl_c()
    supervisor.says("stubborn got SIGQUIT")
    supervisor.press_ctrl_c()

    supervisor.says("stubborn died of SIGKILL")
    assert supervisor.exit_code() == 0
    processes.are_gone()


def test_nothing_outlives_a_killed_supervisor(processes):
    supervisor = supervise(processes, slow("first"), slow("second"))
    supervisor.says("first runs")
    supervisor.says("second runs")

    supervisor.process.kill()

    processes.are_gone(within=5)


def test_grandchildren_do_not_outlive_a_killed_child(processes):
    supervisor = supervise(processes, f"parent={WITH_GRANDCHILD}")
    supervisor.says(" has ")
    parent, grandchild = map(int, supervisor.output().split(" has "))

    os.kill(parent, signal.SIGKILL)

    supervisor.says("parent died of SIGKILL: starting it again in 1 s")
    wait_until(lambda: grandchild not in processes.alive(), within=5)


@pytest.fixture(autouse=True)
def hear_all(caplog):
    caplog.set_level(logging.INFO)
