"""Plays the scenarios of loop_order.txt on asyncio's own loop and prints who runs when.

    python3 loop_order.py [FILE]        (FILE - is standard input)

One line for each callback: scenario, iteration of the loop, callback. It needs CPython 3.8 or
later and prints the same on all of them and on any machine, however slow: the clock of the loop is
a counter, and its selector moves that counter where others sleep.

Everything that is scheduled goes through asyncio's public functions. What is replaced is what
asyncio asks of the system: the time, and how long to sleep.
"""
import asyncio
import logging
import os
import selectors
import signal
import socket
import sys
import threading


class NothingLeft(Exception):
    """The loop would sleep for ever: the run is over."""


class Selector(selectors.SelectSelector):
    """Asks the system what is ready, but moves the player's clock instead of sleeping."""

    def __init__(self, player):
        super().__init__()
        self.player = player

    def select(self, timeout=None):
        player = self.player
        player.arrive()
        ready = super().select(0)
        if not ready and timeout != 0:
            moments = [when for when, _ in player.arrivals]
            if timeout is not None:
                moments.append(player.now + timeout)
            if not moments:
                raise NothingLeft
            player.now = min(moments)
            player.arrive()
            ready = super().select(0)
        # One iteration polls once. asyncio hears of a signal through its self-pipe, whose reader is
        # a callback of its own: an iteration that runs nothing but that housekeeping is not
        # counted. (In other iterations it runs unseen, because it writes no line.)
        housekeeping = [key for key, _ in ready if key.fd not in player.order]
        if not (ready and len(housekeeping) == len(ready) and player.idle()):
            player.iteration += 1
        # The order in which a poller names sockets is its own affair. Ours: the self-pipe, then in
        # order of appearance in the scenario.
        return sorted(ready, key=lambda event: player.order.get(event[0].fd, -1))


class Player:
    """One scenario, on a loop of its own."""

    def __init__(self, name, blocks):
        self.name = name
        self.blocks = blocks
        self.now = 0
        self.iteration = 0
        self.runs = {}
        self.handles = {}
        self.sockets = {}
        self.order = {}
        self.arrivals = []
        self.handler_fails = False
        self.running = None
        self.loop = asyncio.SelectorEventLoop(Selector(self))
        self.loop.time = lambda: self.now
        # The clock counts in whole numbers, so any fraction of one resolves them.
        self.loop._clock_resolution = 0.5
        self.loop.set_exception_handler(self.exception_handler)

    def play(self):
        try:
            self.block("start")
        finally:
            self.loop.close()
            for pair in self.sockets.values():
                for end in pair:
                    end.close()

    def print(self, text):
        print(self.name, self.iteration, text)

    def call(self, name):
        """The callback of all handles."""
        self.print(name)
        self.running = name
        self.block(name)

    def block(self, name):
        run = self.runs[name] = self.runs.get(name, 0) + 1
        for bound, verb, arguments in self.blocks.get(name, ()):
            if run <= bound:
                getattr(self, "do_" + verb.replace("-", "_"))(*arguments)

    def exception_handler(self, loop, context):
        # A handle that was cancelled, if only by its own callback, has forgotten its arguments.
        (name,) = context["handle"]._args or [self.running]
        self.print("handler({} in {})".format(context["exception"], name))
        if self.handler_fails:
            raise RuntimeError("the handler fails too")

    def idle(self):
        """Nothing but what the poll has just said is to be run."""
        timers = self.loop._scheduled
        return not self.loop._ready and not (timers and timers[0]._when <= self.now)

    def pair(self, name):
        if name not in self.sockets:
            self.sockets[name] = socket.socketpair()
            self.order[self.sockets[name][0].fileno()] = len(self.order)
        return self.sockets[name]

    def arrive(self):
        """Lets arrive what is to arrive by now."""
        for arrival in [arrival for arrival in self.arrivals if arrival[0] <= self.now]:
            self.arrivals.remove(arrival)
            self.do_write(arrival[1])

    def do_soon(self, *names):
        for name in names:
            self.handles[name] = self.loop.call_soon(self.call, name)

    def do_later(self, delay, name):
        self.handles[name] = self.loop.call_later(int(delay), self.call, name)

    def do_at(self, when, name):
        self.handles[name] = self.loop.call_at(int(when), self.call, name)

    def do_cancel(self, name):
        if name in self.handles:
            self.handles[name].cancel()

    def do_flock(self, count, delay, name):
        for i in range(int(count)):
            self.do_later(int(delay) + i, name + str(i + 1))

    def do_unflock(self, first, last, name):
        for i in range(int(first), int(last) + 1):
            self.do_cancel(name + str(i))

    def do_reader(self, name, callback):
        self.loop.add_reader(self.pair(name)[0], self.call, callback)

    def do_noreader(self, name):
        self.loop.remove_reader(self.pair(name)[0])

    def do_write(self, name):
        self.pair(name)[1].send(b".")

    def do_read(self, name):
        self.pair(name)[0].recv(4096, socket.MSG_DONTWAIT)

    def do_arrive(self, when, name):
        self.pair(name)
        self.arrivals.append((int(when), name))

    def do_thread(self, *names):
        def work():
            for name in names:
                self.handles[name] = self.loop.call_soon_threadsafe(self.call, name)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    def do_on_signal(self, name):
        self.loop.add_signal_handler(signal.SIGUSR1, self.call, name)

    def do_raise(self):
        signal.raise_signal(signal.SIGUSR1)

    def do_fail(self, message):
        raise RuntimeError(message)

    def do_bad_handler(self):
        self.handler_fails = True

    def do_stop(self):
        self.loop.stop()

    def do_spend(self, seconds):
        self.now += int(seconds)

    def do_heap(self):
        self.print("heap={}".format(len(self.loop._scheduled)))

    def do_time(self):
        self.print("time={}".format(self.loop.time()))

    def do_run(self):
        try:
            self.loop.run_forever()
        except NothingLeft:
            pass


def parse(lines):
    """Scenarios in order: a name, and for each block its steps (bound, verb, arguments)."""
    scenarios = []
    for line in map(str.strip, lines):
        if not line or line.startswith("#"):
            continue
        if line.startswith("scenario "):
            scenarios.append((line.split()[1], {}))
            continue
        name, _, steps = line.partition(":")
        scenarios[-1][1][name] = [step(words.split()) for words in steps.split(";")]
    return scenarios


def step(words):
    bound = float("inf")
    if words[0].endswith("*"):
        bound = int(words.pop(0)[:-1])
    if not hasattr(Player, "do_" + words[0].replace("-", "_")):
        raise SystemExit("no such step: " + " ".join(words))
    return bound, words[0], words[1:]


def main():
    if sys.implementation.name != "cpython" or sys.version_info < (3, 8):
        raise SystemExit("this needs CPython 3.8 or later, not " + sys.version)
    # A failing exception handler is reported here; the lines on standard output are what counts.
    logging.getLogger("asyncio").disabled = True
    path = sys.argv[1] if sys.argv[1:] else os.path.splitext(__file__)[0] + ".txt"
    with sys.stdin if path == "-" else open(path) as file:
        scenarios = parse(file)
    for name, blocks in scenarios:
        Player(name, blocks).play()


main()
