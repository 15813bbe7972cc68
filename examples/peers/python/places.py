"""Google Places, asked over HTTP by hand: Python's library has no HTTP client for asyncio.

Its platform: a new connection is a full TLS handshake, since asyncio does not resume sessions. So
connections are kept.
"""

import asyncio
import json
import os
import re
import ssl
from typing import Any, Dict, List, Optional, Tuple
from urllib.parse import quote, urlsplit

from wire import Question

UNKNOWN = b'{"html_attributions":[],"results":[],"status":"UNKNOWN_ERROR"}'
DEADLINE = 10.0
IDLE_MAX = 4
BODY_MAX = 1 << 20

_NEWLINES = re.compile(rb"\n{2,}")
#: What may stand between two tokens of JSON, brackets apart.
_BETWEEN = re.compile(r"[\s,:]*")

Connection = Tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Unusable(Exception):
    """The answer cannot be passed on."""


#: What can go wrong. EOFError: asyncio.IncompleteReadError is one. LimitOverrunError: a head that is too
#: long. ValueError: no JSON, no number. RecursionError: JSON that is nested too deep.
FAILURES = (
    OSError,
    EOFError,
    asyncio.LimitOverrunError,
    asyncio.TimeoutError,
    ValueError,
    RecursionError,
    Unusable,
)


class Places:
    """Asks, and keeps connections for the next question."""

    def __init__(self, url: Optional[str], ca_file: Optional[str]) -> None:
        self._url = urlsplit(url) if url else None
        self._key = os.environ.get("GOOGLE_PLACES_API_KEY", "").strip()
        self._idle: List[Connection] = []
        self._ssl: Optional[ssl.SSLContext] = None
        if self._url is not None and self._url.scheme == "https":
            self._ssl = ssl.create_default_context()
            if ca_file:
                self._ssl.load_verify_locations(ca_file)

    def close(self) -> None:
        while self._idle:
            _, writer = self._idle.pop()
            writer.transport.abort()

    async def near(self, position: bytes, question: Question) -> bytes:
        """The JSON and the empty line, whatever happens."""
        body = UNKNOWN
        try:
            answer = await asyncio.wait_for(self._ask(position, question), DEADLINE)
            body = cut(answer, question.bound)
        except FAILURES:
            # The command was valid: an answer that says so little is still one.
            pass
        if self._key:
            # A refusal may repeat it.
            body = body.replace(self._key.encode(), b"***")
        body = _NEWLINES.sub(b"\n", body.replace(b"\r\n", b"\n"))
        return body.rstrip(b"\n") + b"\n\n"

    async def _ask(self, position: bytes, question: Question) -> bytes:
        if self._url is None:
            raise Unusable("nobody to ask")
        second = max(position.rfind(b"+"), position.rfind(b"-"))
        latitude, longitude = position[:second].decode(), position[second:].decode()
        target = "%s/maps/api/place/nearbysearch/json?location=%s,%s&radius=%d" % (
            self._url.path.rstrip("/"),
            latitude.lstrip("+"),
            longitude.lstrip("+"),
            question.radius_metres,
        )
        if self._key:
            target += "&key=" + quote(self._key, safe="")
        request = "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target, self._url.netloc)
        while self._idle:
            connection = self._idle.pop()
            try:
                return await self._exchange(connection, request.encode())
            except (OSError, EOFError):
                # It was closed as idle: another one.
                continue
        return await self._exchange(await self._connect(), request.encode())

    async def _connect(self) -> Connection:
        assert self._url is not None
        port = self._url.port or (443 if self._ssl else 80)
        host = self._url.hostname or ""
        return await asyncio.open_connection(host, port, ssl=self._ssl)

    async def _exchange(self, connection: Connection, request: bytes) -> bytes:
        reader, writer = connection
        keep = False
        try:
            if reader.at_eof() or writer.is_closing():
                raise EOFError("closed meanwhile")
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            version, _, status = head[0].partition(" ")
            fields = dict(field.lower().split(":", 1) for field in head[1:] if ":" in field)
            body = await _body(reader, fields)
            keep = version == "HTTP/1.1" and "close" not in fields.get("connection", "")
            if status[:3] != "200":
                raise Unusable(status)
            return body
        finally:
            if keep and len(self._idle) < IDLE_MAX:
                self._idle.append(connection)
            else:
                writer.transport.abort()


async def _body(reader: asyncio.StreamReader, fields: Dict[str, str]) -> bytes:
    if "chunked" not in fields.get("transfer-encoding", ""):
        if "content-length" not in fields:
            raise Unusable("no length")
        return await reader.readexactly(_size(fields["content-length"], 10))
    body = bytearray()
    while True:
        line = await reader.readuntil(b"\r\n")
        size = _size(line.split(b";")[0].decode(), 16)
        if size == 0:
            # Trailers, up to an empty line.
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return bytes(body)
        body += await reader.readexactly(size)
        if len(body) > BODY_MAX or await reader.readexactly(2) != b"\r\n":
            raise Unusable("no chunk")


def _size(text: str, base: int) -> int:
    size = int(text, base)
    if not 0 <= size <= BODY_MAX:
        raise Unusable("too long")
    return size


def cut(body: bytes, bound: int) -> bytes:
    """The answer with at most `bound` results, otherwise byte for byte what it was: json.dumps() would
    print it anew."""
    text = body.decode("utf-8")
    answer: Any = json.loads(text)
    if not isinstance(answer, dict) or not isinstance(answer.get("status"), str):
        raise Unusable("no status")
    # With a refusal there may be none.
    results = answer.get("results", [] if answer["status"] != "OK" else None)
    if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
        raise Unusable("no results")
    if len(results) <= bound:
        return body
    opening, ends, closing = _results(text, len(results))
    if bound == 0:
        return (text[:opening] + text[closing:]).encode("utf-8")
    return (text[: ends[bound - 1]] + text[ends[-1] :]).encode("utf-8")


def _results(text: str, count: int) -> Tuple[int, List[int], int]:
    """Where the list of results opens, where each of its values ends, and where it closes, in text that
    is known to be an object with such a list. json tells where a value ends."""
    scan = json.JSONDecoder().raw_decode
    position = text.index("{") + 1
    while True:
        key, position = scan(text, _skip(text, position))
        position = _skip(text, position)
        if key == "results":
            break
        _, position = scan(text, position)
    opening = position + 1
    ends: List[int] = []
    for _ in range(count):
        _, position = scan(text, _skip(text, ends[-1] if ends else opening))
        ends.append(position)
    return opening, ends, _skip(text, ends[-1])


def _skip(text: str, position: int) -> int:
    match = _BETWEEN.match(text, position)
    return match.end() if match else position
