"""The herd on asyncio's streams, as the course's paper has it: a coroutine for each connection.

    python3 herd_streams.py NAME [--herd FILE] [--places-url URL] [--ca-file PEM] [--log FILE] [--burn]
        [--uvloop]

Its platform: an answer is written when it is there, so sixteen lines that come at once cost sixteen
writes; herd_protocol.py is for whom that is too much. uvloop collects the writes of a turn by itself,
and sends them in no certain order: there, news may leave after the answer.
"""

import asyncio
import itertools
from typing import Dict, Optional

import herd
from options import Options
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
LINES_A_TURN = 64


class StreamsServer(herd.Server):
    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.links: Dict[str, asyncio.StreamWriter] = {}

    async def listen(self) -> asyncio.AbstractServer:
        host, port = self.options.address
        return await asyncio.start_server(
            self.serve, host, port, limit=LINE_MAX, backlog=herd.BACKLOG
        )

    # ---- Connections that come ----

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.converse(reader, writer)
            if writer.is_closing():
                return
            writer.write_eof()
            await asyncio.wait_for(discard(reader), herd.LINGER)
        except (OSError, asyncio.TimeoutError):
            # A client may go away whenever it likes.
            pass
        except asyncio.CancelledError:
            # We end. Until Python 3.12 the streams report a cancelled task as an error.
            pass
        finally:
            writer.close()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves a client, or a neighbour once it has greeted, as long as it speaks."""
        peer: Optional[str] = None
        for count in itertools.count(1):
            if count % LINES_A_TURN == 0:
                # To await what is ready already gives way to nobody.
                await asyncio.sleep(0)
            try:
                line = (await reader.readuntil(b"\n"))[:-1]
            except asyncio.IncompleteReadError as error:
                line = error.partial
                # Not from a server: one that died may have left half a line.
                if not line or peer is not None:
                    return
            except asyncio.LimitOverrunError:
                if peer is None:
                    writer.write(invalid(await reader.read(TOO_LONG_ECHO)))
                return
            self.journal.note(peer or "client", "<", line)
            command = parse(line)
            if peer is not None:
                if isinstance(command, At):
                    self.hear(command, peer)
                continue
            if isinstance(command, Greeting) and command.name in self.greeted:
                peer = command.name
                self.greeted[peer].set()
                continue
            answer = await self.answer(line, command)
            if writer.is_closing():
                return
            self.journal.note("client", ">", answer)
            writer.write(answer)
            # A client that does not read stops here, and is not read from meanwhile.
            await writer.drain()

    async def answer(self, line: bytes, command: Optional[Command]) -> bytes:
        if isinstance(command, Report):
            taken = self.table.iamat(command)
            if taken is not None:
                text, is_news = taken
                if is_news:
                    self.flood(text, None)
                return text
        elif isinstance(command, Question):
            known = self.table.get(command.id)
            if known is not None:
                return known.line + await self.places.near(known.position, command)
        elif isinstance(command, Burn) and self.options.burn:
            if command.where:
                return await self.burner.away(command)
            return self.burner.here(command)
        return invalid(line)

    def hear(self, at: At, peer: str) -> None:
        news = self.table.at(at)
        if news is not None:
            self.flood(news, peer)

    # ---- Links to neighbours ----

    def flood(self, line: bytes, origin: Optional[str]) -> None:
        for name, writer in self.links.items():
            if name == origin or writer.is_closing():
                continue
            if writer.transport.get_write_buffer_size() > herd.LINK_UNSENT_MAX:
                writer.transport.abort()
                continue
            self.journal.note(name, ">", line)
            # No drain(): nobody waits for a neighbour.
            writer.write(line)

    async def hold_link(self, name: str) -> None:
        host, port = self.options.servers[name]
        connecting = asyncio.open_connection(host, port)
        reader, writer = await asyncio.wait_for(connecting, herd.CONNECT_DEADLINE)
        try:
            herd.refuse_ourselves(writer.transport)
            self.journal.note(name, ">", self.greeting)
            writer.write(self.greeting)
            # From here on it gets what is news, also between two pieces of the table.
            self.links[name] = writer
            for piece in self.table.pieces():
                writer.write(piece)
                await writer.drain()
                # drain() alone gives way only when the neighbour is slow.
                await asyncio.sleep(0)
            # A neighbour says nothing here; its end is what we wait for.
            await discard(reader)
        finally:
            self.links.pop(name, None)
            writer.close()


async def discard(reader: asyncio.StreamReader) -> None:
    while await reader.read(LINE_MAX):
        pass


if __name__ == "__main__":
    herd.main(StreamsServer, __doc__)
