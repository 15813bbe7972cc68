"""The newest report of each client."""

import time
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from wire import LINE_MAX, At, DecimalKey, Report, decimal_key, skew

#: A full table takes no new client.
RECORDS_MAX = 1_000_000
BYTES_MAX = 1 << 30
#: A dump goes in pieces of about this many bytes.
PIECE = 64 * 1024


class Record(NamedTuple):
    """A report as it is kept. Records of one client compare in the herd's total order: so equal
    times end in the same record everywhere."""

    when: DecimalKey
    server: bytes
    position: bytes
    skew: bytes
    line: bytes


class Table:
    def __init__(self, server: str, herd: Iterable[str]) -> None:
        self._server = server.encode()
        self._herd = frozenset(name.encode() for name in herd)
        self._records: Dict[bytes, Record] = {}
        self._bytes = 0

    def get(self, id: bytes) -> Optional[Record]:
        return self._records.get(id)

    def pieces(self) -> Iterator[bytes]:
        """All lines. What changes between two pieces is not in them: it goes to everybody as news."""
        piece: List[bytes] = []
        size = 0
        for record in list(self._records.values()):
            piece.append(record.line)
            size += len(record.line)
            if size >= PIECE:
                yield b"".join(piece)
                piece, size = [], 0
        yield b"".join(piece)

    def iamat(self, report: Report) -> Optional[Tuple[bytes, bool]]:
        """The answer, and whether it is news; None if it cannot be kept."""
        record = _record(self._server, skew(time.time_ns(), report.time), report)
        known = self._records.get(report.id)
        if len(record.line) > LINE_MAX + 1 or not self._has_room(record, known):
            return None
        # Said once more, a report keeps its first record.
        if known is not None and known.line.endswith(b" %b %b\n" % report[1:]):
            return record.line, False
        return record.line, self._join(report.id, record, known)

    def at(self, at: At) -> Optional[bytes]:
        """The line of another server's report, if it is news."""
        if at.server not in self._herd:
            return None
        record = _record(at.server, at.skew, at.report)
        known = self._records.get(at.report.id)
        if self._has_room(record, known) and self._join(at.report.id, record, known):
            return record.line
        return None

    def _join(self, id: bytes, record: Record, known: Optional[Record]) -> bool:
        if known is not None:
            if record <= known:
                return False
            self._bytes -= len(known.line)
        self._bytes += len(record.line)
        self._records[id] = record
        return True

    def _has_room(self, record: Record, known: Optional[Record]) -> bool:
        return self._bytes + len(record.line) <= BYTES_MAX and (
            known is not None or len(self._records) < RECORDS_MAX
        )


def _record(server: bytes, skew: bytes, report: Report) -> Record:
    line = b" ".join((b"AT", server, skew, *report)) + b"\n"
    return Record(decimal_key(report.time), server, report.position, skew, line)
