"""The herd on asyncio's streams, as the course's paper has it: a coroutine for each connection.

    python3 herd_streams.py NAME [--herd FILE] [--places-url URL] [--ca-file PEM] [--log FILE] [--uvloop]

Its platform: answers are written one by one; the transport joins what the socket does not take at once.
"""

import asyncio
import signal
from typing import Dict, List, Optional

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
        self.links: Dict[str, asyncio.StreamWriter] = {}
        self.wanted = {name: asyncio.Event() for name in options.neighbours}
        self.tasks: List["asyncio.Task[None]"] = []

    async def run(self) -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        host, port = self.options.address
        server = await asyncio.start_server(self.serve, host, port, limit=LINE_MAX)
        for name in self.options.neighbours:
            self.tasks.append(asyncio.create_task(self.link(name)))
        self.tasks.append(asyncio.create_task(self.write_journal()))
        print("%s listens on %s:%d" % (self.options.name, host, port), flush=True)
        await stop.wait()
        server.close()
        for task in self.tasks:
            task.cancel()
        self.journal.flush()

    async def write_journal(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            self.journal.flush()

    # ---- Connections that come ----

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.converse(reader, writer)
            writer.write_eof()
        except OSError:
            pass
        finally:
            writer.close()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer: Optional[str] = None
        while True:
            try:
                line = await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError as error:
                line = error.partial
                # Not from a server: one that died may have left half a line.
                if not line or peer is not None:
                    return
            except asyncio.LimitOverrunError:
                writer.write(b"? " + await reader.read(128) + b"\n")
                return
            line = line[:-1] if line.endswith(b"\n") else line
            if self.journal.enabled:
                self.journal.note(peer or "client", "<", line)
            command = parse(line)
            if peer is None and isinstance(command, Greeting):
                name = command.name.decode("latin-1")
                if name in self.wanted:
                    peer = name
                    self.wanted[name].set()
                    continue
            if peer is not None:
                if isinstance(command, At):
                    text, news = self.table.at(command)
                    if news:
                        self.flood(text, peer)
                continue
            answer = await self.answer(line, command)
            if self.journal.enabled:
                self.journal.note("client", ">", answer)
            writer.write(answer)
            await writer.drain()

    async def answer(self, line: bytes, command: object) -> bytes:
        if isinstance(command, Report):
            text, news = self.table.iamat(command)
            if text is not None:
                if news:
                    self.flood(text, None)
                return text
        if isinstance(command, Question):
            known = self.table.get(command.id)
            if known is not None:
                at, text = known
                return text + await self.places.near(at.report.position, command)
        return b"? " + line + b"\n"

    # ---- Links to neighbours ----

    def flood(self, line: bytes, origin: Optional[str]) -> None:
        for name, writer in list(self.links.items()):
            if name == origin:
                continue
            if writer.transport.get_write_buffer_size() > herd.LINK_UNSENT_MAX:
                writer.transport.abort()
                continue
            writer.write(line)
            if self.journal.enabled:
                self.journal.note(name, ">", line)

    async def link(self, name: str) -> None:
        backoff = herd.Backoff()
        while True:
            self.wanted[name].clear()
            try:
                await self.hold_link(name)
                backoff = herd.Backoff()
            except OSError:
                pass
            try:
                await asyncio.wait_for(self.wanted[name].wait(), backoff.next())
            except asyncio.TimeoutError:
                pass

    async def hold_link(self, name: str) -> None:
        host, port = self.options.servers[name]
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 3)
        try:
            writer.write(b"PEER %b\n" % self.options.name.encode())
            for line in self.table.lines():
                writer.write(line)
            self.links[name] = writer
            # A neighbour says nothing here; its end is what we wait for.
            while await reader.read(65536):
                pass
        finally:
            self.links.pop(name, None)
            writer.close()


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
