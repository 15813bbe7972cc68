"""What the two herds share: all of a server but its sockets."""

import abc
import asyncio
import random
import signal
from typing import Callable, Optional

from burn import Burner
from journal import Journal
from options import Options, parse
from places import Places
from table import Table

#: Connections that may wait to be accepted.
BACKLOG = 4096
CONNECT_DEADLINE = 3.0
#: A link that was up for so long is dialled again without back-off.
BACKOFF_FORGIVEN = 10.0
#: Above this many unsent bytes a link is cut: the whole table follows when it is dialled again.
LINK_UNSENT_MAX = 4 << 20
#: How long a client may go on talking after our end. To close with unread input would reset the
#: connection, and the reset can destroy the last answer on its way.
LINGER = 1.0


class Server(abc.ABC):
    def __init__(self, options: Options) -> None:
        self.options = options
        self.table = Table(options.name, options.servers)
        self.journal = Journal(options.log)
        self.places = Places(options.places_url, options.ca_file)
        self.burner = Burner()
        self.greeting = b"PEER %b\n" % options.name.encode()
        #: For each neighbour: it spoke to us since we dialled it last.
        self.greeted = {name: asyncio.Event() for name in options.neighbours}

    @abc.abstractmethod
    async def listen(self) -> asyncio.AbstractServer:
        """Takes connections from now on."""

    @abc.abstractmethod
    async def hold_link(self, name: str) -> None:
        """Dials a neighbour, and returns when that connection is lost. OSError: there was none."""

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        listener = await self.listen()
        links = [loop.create_task(self.keep_link(name)) for name in self.options.neighbours]
        print("%s listens on %s:%d" % (self.options.name, *self.options.address), flush=True)
        await stop.wait()
        listener.close()
        for link in links:
            link.cancel()
        self.places.close()
        self.burner.close()
        self.journal.close()

    async def keep_link(self, name: str) -> None:
        """Dials, again and again: after 100 ms to 10 s with full jitter, or when it greets us."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            self.greeted[name].clear()
            since = loop.time()
            try:
                await self.hold_link(name)
            except (OSError, asyncio.TimeoutError):
                pass
            if loop.time() - since >= BACKOFF_FORGIVEN:
                failures = 0
            ceiling = min(10.0, 0.1 * 2 ** min(failures, 16))
            failures += 1
            try:
                await asyncio.wait_for(self.greeted[name].wait(), random.uniform(0, ceiling))
                failures = 0
            except asyncio.TimeoutError:
                pass


def refuse_ourselves(transport: asyncio.BaseTransport) -> None:
    """On loopback, dialling a port where nobody listens can end at ourselves (TCP's simultaneous
    open), and would take the port from whom we want."""
    if transport.get_extra_info("sockname") == transport.get_extra_info("peername"):
        raise ConnectionRefusedError("connected to ourselves")


def keep_memory() -> None:
    """asyncio reads into 256 KiB that it allocates for each read. glibc takes so much from the system and
    gives it back each time, three system calls a read, until one block as large was freed; then it keeps
    them. A server that has run for a while is there by itself."""
    block = bytearray(1 << 20)
    del block


def main(make_server: Callable[[Options], Server], description: Optional[str]) -> None:
    options = parse(description)
    keep_memory()

    async def run() -> None:
        await make_server(options).run()

    if options.uvloop:
        import uvloop

        uvloop.run(run())
    else:
        asyncio.run(run())
