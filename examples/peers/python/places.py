"""Google Places, asked over HTTP by hand: asyncio's library has no HTTP client."""

import asyncio
import json
import os
import re
import ssl
from typing import Any, Dict, List, Optional, Tuple
from urllib.parse import urlsplit

from wire import Question, split_position

UNKNOWN = b'{"html_attributions":[],"results":[],"status":"UNKNOWN_ERROR"}'
DEADLINE = 10.0
IDLE_MAX = 4
BODY_MAX = 1 << 20

_BETWEEN = re.compile(r"[\s,]*")

Connection = Tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Unusable(Exception):
    """The answer cannot be passed on."""


class Places:
    """Asks, and keeps connections for the next question."""

    def __init__(self, url: Optional[str], ca_file: Optional[str]) -> None:
        self._url = urlsplit(url) if url else None
        self._key = os.environ.get("GOOGLE_PLACES_API_KEY", "")
        self._idle: List[Connection] = []
        self._ssl: Optional[ssl.SSLContext] = None
        if self._url is not None and self._url.scheme == "https":
            self._ssl = ssl.create_default_context()
            if ca_file:
                self._ssl.load_verify_locations(ca_file)

    async def near(self, position: bytes, question: Question) -> bytes:
        """The JSON and the empty line, whatever happens."""
        body = UNKNOWN
        try:
            answer = await asyncio.wait_for(self._ask(position, question), DEADLINE)
            body = cut(answer, question.bound)
        except (OSError, EOFError, ValueError, Unusable, asyncio.TimeoutError):
            # EOFError: asyncio.IncompleteReadError is one. ValueError: what is no JSON, no number.
            pass
        return re.sub(rb"(?:\r?\n){2,}", b"\n", body).rstrip(b"\r\n") + b"\n\n"

    async def _ask(self, position: bytes, question: Question) -> bytes:
        halves = split_position(position)
        if self._url is None or halves is None:
            raise Unusable("nobody to ask")
        latitude, longitude = (half.decode().lstrip("+") for half in halves)
        target = "%s/maps/api/place/nearbysearch/json?location=%s,%s&radius=%d" % (
            self._url.path.rstrip("/"),
            latitude,
            longitude,
            question.radius_metres,
        )
        if self._key:
            target += "&key=" + self._key
        request = "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target, self._url.netloc)
        while self._idle:
            connection = self._idle.pop()
            try:
                return await self._exchange(connection, request)
            except (OSError, EOFError):
                # The server closed it as idle: another one.
                continue
        return await self._exchange(await self._connect(), request)

    async def _connect(self) -> Connection:
        assert self._url is not None
        port = self._url.port or (443 if self._ssl else 80)
        host = self._url.hostname or ""
        return await asyncio.open_connection(host, port, ssl=self._ssl)

    async def _exchange(self, connection: Connection, request: str) -> bytes:
        reader, writer = connection
        keep = False
        try:
            writer.write(request.encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = dict(field.lower().split(":", 1) for field in head[1:] if ":" in field)
            body = await self._body(reader, fields)
            if head[0].split(" ")[1:2] != ["200"]:
                raise Unusable(head[0])
            keep = "close" not in fields.get("connection", "")
            return body
        finally:
            if keep and len(self._idle) < IDLE_MAX:
                self._idle.append(connection)
            else:
                writer.close()

    async def _body(self, reader: asyncio.StreamReader, fields: Dict[str, str]) -> bytes:
        if "chunked" not in fields.get("transfer-encoding", ""):
            if "content-length" not in fields:
                raise Unusable("no length")
            length = int(fields["content-length"])
            if length > BODY_MAX:
                raise Unusable("too long")
            return await reader.readexactly(length)
        body = b""
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            if len(body) + size > BODY_MAX:
                raise Unusable("too long")
            if size == 0:
                # Trailers, up to an empty line.
                while await reader.readuntil(b"\r\n") != b"\r\n":
                    pass
                return body
            body += (await reader.readexactly(size + 2))[:-2]


def cut(body: bytes, bound: int) -> bytes:
    """The answer with at most `bound` results, otherwise byte for byte what it was."""
    text = body.decode("utf-8")
    answer: Any = json.loads(text)
    if not isinstance(answer, dict) or not isinstance(answer.get("status"), str):
        raise Unusable("no status")
    results = answer.get("results")
    if not isinstance(results, list) or len(results) <= bound:
        return body
    # The list in the text: json tells where each value of it ends.
    opening = re.search(r'"results"\s*:\s*\[\s*', text)
    if opening is None:
        raise Unusable("no results")
    decoder = json.JSONDecoder()
    position, ends = opening.end(), []
    for _ in results:
        _, end = decoder.raw_decode(text, position)
        ends.append(end)
        position = _BETWEEN.match(text, end).end()  # type: ignore[union-attr]
    kept = ends[bound - 1] if bound else opening.end()
    return (text[:kept] + text[ends[-1] :]).encode("utf-8")
