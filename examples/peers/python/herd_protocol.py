"""The herd on asyncio's transports and protocols: callbacks, no coroutine for a connection.

    python3 herd_protocol.py NAME [--herd FILE] [--places-url URL] [--ca-file PEM] [--log FILE] [--uvloop]

All lines of one `data_received` are answered with one write. A connection that waits for Places keeps what
comes behind the question, and stops reading if that grows.
"""

import asyncio
import signal
from typing import Dict, List, Optional, Set, cast

import herd
from places import Places
from wire import LINE_MAX, At, Greeting, Question, Report, Table, parse


class Server:
    def __init__(self, options: herd.Options) -> None:
        self.options = options
        names = [name.encode() for name in options.servers]
        self.table = Table(options.name.encode(), names)
        self.journal = herd.Journal(options.log)
        self.places = Places(options.places_url, options.ca_file)
        self.links = {name: Link(self, name) for name in options.neighbours}
        self.tasks: Set["asyncio.Task[None]"] = set()
        self.loop = asyncio.get_running_loop()

    async def run(self) -> None:
        stop = asyncio.Event()
        self.loop.add_signal_handler(signal.SIGTERM, stop.set)
        host, port = self.options.address
        server = await self.loop.create_server(lambda: Connection(self), host, port)
        for link in self.links.values():
            link.dial()
        self.write_journal()
        print("%s listens on %s:%d" % (self.options.name, host, port), flush=True)
        await stop.wait()
        server.close()
        self.journal.flush()

    def write_journal(self) -> None:
        self.journal.flush()
        self.loop.call_later(0.05, self.write_journal)

    def flood(self, line: bytes, origin: Optional[str]) -> None:
        for name, link in self.links.items():
            if name != origin:
                link.send(line)


class Connection(asyncio.Protocol):
    """A client, or a neighbour once it has greeted."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.partial = b""
        self.peer: Optional[str] = None
        self.waits = False
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.partial = self.partial + data if self.partial else data
        if not self.waits:
            self.take_lines()
        elif len(self.partial) > LINE_MAX:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self.ended = True
        if not self.waits:
            self.take_lines()
        return True

    def pause_writing(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def take_lines(self) -> None:
        answers: List[bytes] = []
        *lines, self.partial = self.partial.split(b"\n")
        for index, line in enumerate(lines):
            self.take(line, answers)
            if self.waits:
                # Behind the question, in their order.
                self.partial = b"\n".join(lines[index + 1 :] + [self.partial])
                break
        if len(self.partial) > LINE_MAX and not self.waits:
            answers.append(b"? " + self.partial[:128] + b"\n")
            self.ended, self.partial = True, b""
        if self.ended and not self.waits and self.partial and self.peer is None:
            line, self.partial = self.partial, b""
            self.take(line, answers)
        if answers:
            self.transport.write(b"".join(answers))
        if self.ended and not self.waits:
            self.transport.close()

    def take(self, line: bytes, answers: List[bytes]) -> None:
        server = self.server
        if server.journal.enabled:
            server.journal.note(self.peer or "client", "<", line)
        command = parse(line)
        if self.peer is not None:
            if isinstance(command, At):
                text, news = server.table.at(command)
                if news:
                    server.flood(text, self.peer)
            return
        answer: Optional[bytes] = None
        if isinstance(command, Report):
            answer, news = server.table.iamat(command)
            if answer is not None and news:
                server.flood(answer, None)
        elif isinstance(command, Question):
            if self.ask(command):
                return
        elif isinstance(command, Greeting):
            name = command.name.decode("latin-1")
            if name in server.links:
                self.peer = name
                server.links[name].dial_now()
                return
        answer = answer or b"? " + line + b"\n"
        if server.journal.enabled:
            server.journal.note("client", ">", answer)
        answers.append(answer)

    def ask(self, question: Question) -> bool:
        known = self.server.table.get(question.id)
        if known is None:
            return False
        at, line = known

        async def ask() -> None:
            places = await self.server.places.near(at.report.position, question)
            if self.server.journal.enabled:
                self.server.journal.note("client", ">", line)
            self.transport.write(line + places)
            self.waits = False
            self.transport.resume_reading()
            self.take_lines()

        self.waits = True
        task = self.server.loop.create_task(ask())
        self.server.tasks.add(task)
        task.add_done_callback(self.server.tasks.discard)
        return True


class Link(asyncio.Protocol):
    """Our connection to a neighbour: we dial, greet, and only write."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name
        self.transport: Optional[asyncio.Transport] = None
        self.backoff = herd.Backoff()
        self.timer: Optional[asyncio.TimerHandle] = None
        self.dialling = False
        self.queued: List[bytes] = []

    def dial(self) -> None:
        self.timer = None
        self.dialling = True
        task = asyncio.ensure_future(self.connect())
        self.server.tasks.add(task)
        task.add_done_callback(self.server.tasks.discard)

    def dial_now(self) -> None:
        """The neighbour spoke to us: it is worth dialling."""
        if self.timer is not None:
            self.timer.cancel()
            self.backoff = herd.Backoff()
            self.dial()

    async def connect(self) -> None:
        host, port = self.server.options.servers[self.name]
        connecting = asyncio.get_running_loop().create_connection(lambda: self, host, port)
        try:
            await asyncio.wait_for(connecting, 3)
        except (OSError, asyncio.TimeoutError):
            self.dial_later()
        finally:
            self.dialling = False

    def dial_later(self) -> None:
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(self.backoff.next(), self.dial)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(b"PEER %b\n" % self.server.options.name.encode())
        self.transport.writelines(self.server.table.lines())

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self.transport = None
        self.dial_later()

    def send(self, line: bytes) -> None:
        transport = self.transport
        if transport is None:
            return
        if transport.get_write_buffer_size() > herd.LINK_UNSENT_MAX:
            transport.abort()
            return
        # One write for all that is flooded in this turn of the loop.
        if not self.queued:
            self.server.loop.call_soon(self.flush)
        self.queued.append(line)
        if self.server.journal.enabled:
            self.server.journal.note(self.name, ">", line)

    def flush(self) -> None:
        lines, self.queued = self.queued, []
        if self.transport is not None:
            self.transport.write(b"".join(lines))


def main() -> None:
    options = herd.options(__doc__.splitlines()[0] if __doc__ else "")
    if options.uvloop:
        import uvloop

        uvloop.install()

    async def run() -> None:
        await Server(options).run()

    asyncio.run(run())


if __name__ == "__main__":
    main()
