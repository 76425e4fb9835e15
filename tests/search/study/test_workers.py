"""Signs of life, and processes that are gone."""

from __future__ import annotations

import subprocess
import sys

from aum_edge.search.study.workers import HeartbeatMonitor, is_dead, this_worker


def gone() -> dict:
    """A worker of this machine whose process has ended."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return {**this_worker().to_dict(), "pid": done.pid}


def test_a_process_of_this_machine_is_known_to_be_dead_or_alive() -> None:
    mine = this_worker().to_dict()
    assert not is_dead(mine)
    assert is_dead(gone())
    # The number was given to a process that began later.
    assert is_dead({**mine, "started": mine["started"] - 1000})
    assert not is_dead({**gone(), "host": "elsewhere"})
    assert not is_dead({**gone(), "booted": mine["booted"] - 500})
    # Another container of this machine counts its processes anew.
    assert not is_dead({**gone(), "pid_space": mine["pid_space"] + 1})


def test_a_trial_is_stale_when_its_beat_stands_still_on_the_watchers_clock() -> None:
    watch = HeartbeatMonitor(grace=10)
    assert not watch.stale(1, beat=5.0, now=0)
    assert not watch.stale(1, beat=5.0, now=9)
    assert watch.stale(1, beat=5.0, now=10)
    assert not watch.stale(1, beat=6.0, now=11)
    assert not watch.stale(1, beat=6.0, now=20)
    assert watch.stale(1, beat=6.0, now=21)
    assert not watch.stale(2, beat=None, now=21)
