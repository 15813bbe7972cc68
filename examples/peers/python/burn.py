"""Work for the processor: what BURN asks for, and the places where it can be done."""

import asyncio
import multiprocessing
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Optional

from wire import Burn


def compute(milliseconds: int) -> None:
    """Computes until this thread has used so much CPU time: the wall clock would count the time of
    others as well."""
    end = time.thread_time_ns() + milliseconds * 1_000_000
    bits = 1
    while time.thread_time_ns() < end:
        for _ in range(1000):
            bits = (bits * 6364136223846793005 + 1) & 0xFFFFFFFFFFFFFFFF


class Burner:
    """Does it on the loop, or elsewhere while the loop goes on.

    Its platform: there is one interpreter lock. A thread that computes shares it with the loop, which
    gets it back within the switch interval of 5 ms; only a process computes on another core.
    """

    def __init__(self) -> None:
        self._processes: Optional[ProcessPoolExecutor] = None

    def here(self, burn: Burn) -> bytes:
        """Here and now. Everybody else waits."""
        compute(burn.milliseconds)
        return b"BURNT %d\n" % burn.milliseconds

    async def away(self, burn: Burn) -> bytes:
        executor = self._pool() if burn.where == b"process" else None
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(executor, compute, burn.milliseconds)
        return b"BURNT %d\n" % burn.milliseconds

    def _pool(self) -> ProcessPoolExecutor:
        if self._processes is None:
            # Spawned, not forked: a fork would keep our sockets open after we are gone.
            self._processes = ProcessPoolExecutor(
                mp_context=multiprocessing.get_context("spawn"), initializer=_follow_parent
            )
        return self._processes

    def close(self) -> None:
        # Threads cannot be ended: Python's exit waits for theirs.
        if self._processes is not None:
            for process in multiprocessing.active_children():
                process.terminate()


def _follow_parent() -> None:
    """A killed server takes its workers along; by themselves they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
