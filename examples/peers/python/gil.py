"""What the interpreter lock does to work for the processor: the same work by one thread, by some threads,
and by some processes.

    python3 gil.py [--workers N] [--rounds N]

Prints the wall time of each in seconds, as JSON. Whoever works is started before the clock is.
"""

import argparse
import json
import os
import sys
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import List, Tuple

#: A seed, and how many rounds.
Part = Tuple[int, int]


def digest(part: Part) -> int:
    """Rounds of FNV-1a: arithmetic in pure Python, which never gives the lock away by itself."""
    seed, rounds = part
    value = 0xCBF29CE484222325
    for number in range(rounds):
        value = ((value ^ ((number + seed) & 0xFF)) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def together(executor: Executor, parts: List[Part]) -> Tuple[float, List[int]]:
    with executor:
        # Each takes a moment, so that there is a worker for each.
        list(executor.map(time.sleep, [0.2] * len(parts)))
        start = time.perf_counter()
        digests = list(executor.map(digest, parts))
        return time.perf_counter() - start, digests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--rounds", type=int, default=4_000_000, metavar="N", help="of all together")
    arguments = parser.parse_args()
    workers = arguments.workers
    if workers < 1:
        parser.error("--workers is at least 1")
    parts = [(seed, arguments.rounds // workers) for seed in range(workers)]
    one, expected = together(ThreadPoolExecutor(1), parts)
    threads, by_threads = together(ThreadPoolExecutor(workers), parts)
    processes, by_processes = together(ProcessPoolExecutor(workers), parts)
    if not expected == by_threads == by_processes:
        sys.exit("the work was not the same")
    print(json.dumps({"one": one, "threads": threads, "processes": processes}))


if __name__ == "__main__":
    main()
