"""The herd on asyncio's transports and protocols: callbacks, and no coroutine for a client.

    python3 herd_protocol.py NAME [--herd FILE] [--places-url URL] [--ca-file PEM] [--log FILE] [--burn]
        [--uvloop]

Its platform: all lines of one data_received() are answered with one write, and their news are one
write for each neighbour, before it. uvloop sends what was written in a turn in no certain order: there,
news may leave after the answer.
"""

import asyncio
from collections import deque
from typing import Any, Coroutine, Deque, Dict, List, Optional, cast

import herd
from options import Options
from table import Record
from wire import (
    LINE_MAX,
    TOO_LONG_ECHO,
    At,
    Burn,
    Command,
    Greeting,
    Question,
    Report,
    invalid,
    parse,
)

#: Then others have theirs.
LINES_A_TURN = 512


class ProtocolServer(herd.Server):
    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.loop = asyncio.get_running_loop()
        self.links: Dict[str, Link] = {}

    async def listen(self) -> asyncio.AbstractServer:
        host, port = self.options.address
        return await self.loop.create_server(
            lambda: Connection(self), host, port, backlog=herd.BACKLOG
        )

    async def hold_link(self, name: str) -> None:
        host, port = self.options.servers[name]
        connecting = self.loop.create_connection(lambda: Link(self, name), host, port)
        transport, link = await asyncio.wait_for(connecting, herd.CONNECT_DEADLINE)
        try:
            herd.refuse_ourselves(transport)
            await link.dump()
            await link.lost.wait()
        finally:
            transport.close()

    async def near(self, known: Record, question: Question) -> bytes:
        return known.line + await self.places.near(known.position, question)

    def flood(self, news: List[bytes], origin: Optional[str]) -> None:
        text = b"".join(news)
        for name, link in self.links.items():
            if name == origin or not link.send(text):
                continue
            if self.journal.is_kept:
                for line in news:
                    self.journal.note(name, ">", line)


class Connection(asyncio.Protocol):
    """A client, or a neighbour once it has greeted."""

    def __init__(self, server: ProtocolServer) -> None:
        self.server = server
        self.transport = cast(asyncio.Transport, None)
        self.peer: Optional[str] = None
        #: The front of a line.
        self.partial = b""
        #: Lines that came and are yet to be taken.
        self.lines: Deque[bytes] = deque()
        #: A line's answer is being made. Those behind it wait.
        self.task: Optional["asyncio.Task[bytes]"] = None
        #: The client does not read.
        self.is_full = False
        self.has_ended = False
        #: Nothing more is taken.
        self.is_over = False

    # ---- What the transport calls ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self.is_over:
            *lines, self.partial = (self.partial + data).split(b"\n")
            self.lines.extend(lines)
            self.take_lines()

    def eof_received(self) -> bool:
        self.has_ended = True
        self.take_lines()
        return not self.is_over

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        self.take_lines()

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self.is_over = True
        self.lines.clear()
        if self.task is not None:
            self.task.cancel()

    # ---- Lines ----

    @property
    def has_to_wait(self) -> bool:
        return self.is_full or self.task is not None

    def take_lines(self) -> None:
        """Takes lines that are there, and reads on when none are left and nothing is waited for."""
        if self.has_to_wait or self.is_over:
            return
        answers: List[bytes] = []
        news: List[bytes] = []
        for _ in range(LINES_A_TURN):
            if not self.lines or self.task is not None:
                break
            self.take(self.lines.popleft(), answers, news)
        if not self.lines and self.task is None:
            self.take_rest(answers, news)
        if news:
            self.server.flood(news, self.peer)
        if answers:
            self.transport.write(b"".join(answers))
        if self.is_over:
            self.transport.write_eof()
            self.server.loop.call_later(herd.LINGER, self.transport.abort)
        elif self.has_to_wait:
            self.transport.pause_reading()
        elif self.lines:
            self.transport.pause_reading()
            self.server.loop.call_soon(self.take_lines)
        elif self.has_ended:
            self.transport.close()
        else:
            self.transport.resume_reading()

    def take_rest(self, answers: List[bytes], news: List[bytes]) -> None:
        """Takes the front of a line, if it is too long already or will get no longer."""
        line = self.partial
        # Not from a server: one that died may have left half a line.
        is_last = self.has_ended and self.peer is None
        if len(line) > LINE_MAX or (line and is_last):
            self.partial = b""
            self.take(line, answers, news)

    def take(self, line: bytes, answers: List[bytes], news: List[bytes]) -> None:
        """Takes a line. Its answer, if it is there at once, joins the others."""
        server = self.server
        if len(line) > LINE_MAX:
            self.is_over = True
            self.lines.clear()
            if self.peer is None:
                answers.append(invalid(line[:TOO_LONG_ECHO]))
            return
        server.journal.note(self.peer or "client", "<", line)
        command = parse(line)
        if self.peer is not None:
            if isinstance(command, At):
                text = server.table.at(command)
                if text is not None:
                    news.append(text)
            return
        if isinstance(command, Greeting) and command.name in server.greeted:
            # What it said before was a client's: it is news to the neighbour as well.
            server.flood(news, None)
            news.clear()
            self.peer = command.name
            server.greeted[self.peer].set()
            return
        answer = self.answer(line, command, news)
        if answer is not None:
            server.journal.note("client", ">", answer)
            answers.append(answer)

    def answer(
        self, line: bytes, command: Optional[Command], news: List[bytes]
    ) -> Optional[bytes]:
        """The answer to a client; None if it is being made."""
        server = self.server
        if isinstance(command, Report):
            taken = server.table.iamat(command)
            if taken is not None:
                text, is_news = taken
                if is_news:
                    news.append(text)
                return text
        elif isinstance(command, Question):
            known = server.table.get(command.id)
            if known is not None:
                self.answer_later(server.near(known, command))
                return None
        elif isinstance(command, Burn) and server.options.burn:
            if command.where:
                self.answer_later(server.burner.away(command))
                return None
            return server.burner.here(command)
        return invalid(line)

    def answer_later(self, answer: Coroutine[Any, Any, bytes]) -> None:
        self.task = self.server.loop.create_task(answer)
        self.task.add_done_callback(self.answered)

    def answered(self, task: "asyncio.Task[bytes]") -> None:
        self.task = None
        if not task.cancelled():
            self.server.journal.note("client", ">", task.result())
            self.transport.write(task.result())
            self.take_lines()


class Link(asyncio.Protocol):
    """A connection to a neighbour: we dialled it, and only write."""

    def __init__(self, server: ProtocolServer, name: str) -> None:
        self.server = server
        self.name = name
        self.transport = cast(asyncio.Transport, None)
        self.writable = asyncio.Event()
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.writable.set()
        self.server.journal.note(self.name, ">", self.server.greeting)
        self.transport.write(self.server.greeting)
        # From here on it gets what is news, also between two pieces of the table.
        self.server.links[self.name] = self

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self.server.links.pop(self.name, None)
        self.writable.set()
        self.lost.set()

    def send(self, lines: bytes) -> bool:
        """False if they have to come with the next dump."""
        if self.transport.is_closing():
            return False
        if self.transport.get_write_buffer_size() > herd.LINK_UNSENT_MAX:
            self.transport.abort()
            return False
        self.transport.write(lines)
        return True

    async def dump(self) -> None:
        for piece in self.server.table.pieces():
            await self.writable.wait()
            if self.transport.is_closing():
                return
            self.transport.write(piece)
            # Others go on between two pieces.
            await asyncio.sleep(0)


if __name__ == "__main__":
    herd.main(ProtocolServer, __doc__)
