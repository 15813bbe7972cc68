"""The protocol, without sockets: what a line means, and what is newer than what.

Lines are bytes throughout: a client's id may hold anything but white space, and Python's text would
not survive it. Times are compared as exact decimals: a float loses the last digits of a nanosecond.
"""

import re
import sys
import time
from typing import Dict, List, NamedTuple, Optional, Tuple, Union

LINE_MAX = 64 * 1024
ID_MAX = 4096

# A time may have as many digits as its line has room for.
if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)

_DECIMAL = re.compile(rb"[0-9]+(?:\.[0-9]+)?")
_POSITION = re.compile(rb"([+-])([0-9]+)((?:\.[0-9]+)?)([+-])([0-9]+)((?:\.[0-9]+)?)")
_SKEW = re.compile(rb"[+-][0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")

#: Compares as the decimal it was made from.
DecimalKey = Tuple[int, bytes, bytes]


class Report(NamedTuple):
    """What a client says of itself."""

    id: bytes
    position: bytes
    time: bytes


class At(NamedTuple):
    """A report as a server took it."""

    server: bytes
    skew: bytes
    report: Report

    def line(self) -> bytes:
        return b"AT %b %b %b %b %b\n" % (self.server, self.skew, *self.report)


class Question(NamedTuple):
    """Whom a client asks about, how far around, and how many places it wants."""

    id: bytes
    radius_metres: int
    bound: int


class Greeting(NamedTuple):
    """A server says who it is."""

    name: bytes


Command = Union[Report, At, Question, Greeting]


def parse(line: bytes) -> Optional[Command]:
    """A line without its LF; None if the command is invalid."""
    # Without arguments, bytes.split() separates at exactly the six bytes that the protocol names.
    fields = line.split()
    count = len(fields)
    if count == 4 and fields[0] == b"IAMAT":
        return _report(fields[1], fields[2], fields[3])
    if count == 4 and fields[0] == b"WHATSAT":
        return _question(fields[1], fields[2], fields[3])
    if count == 6 and fields[0] == b"AT":
        report = _report(fields[3], fields[4], fields[5])
        if report is None or not _SKEW.fullmatch(fields[2]):
            return None
        return At(fields[1], fields[2], report)
    if count == 2 and fields[0] == b"PEER":
        return Greeting(fields[1])
    return None


def _report(id: bytes, position: bytes, when: bytes) -> Optional[Report]:
    if len(id) > ID_MAX or split_position(position) is None or not _DECIMAL.fullmatch(when):
        return None
    return Report(id, position, when)


def _question(id: bytes, radius: bytes, bound: bytes) -> Optional[Question]:
    if len(id) > ID_MAX or not _DECIMAL.fullmatch(radius) or not bound.isdigit():
        return None
    if decimal_key(radius) > decimal_key(b"50") or decimal_key(bound) > decimal_key(b"20"):
        return None
    whole, _, fraction = radius.partition(b".")
    return Question(id, int(whole + fraction[:3].ljust(3, b"0")), int(bound))


def split_position(position: bytes) -> Optional[Tuple[bytes, bytes]]:
    """Latitude and longitude as they were written, if both are in their range."""
    match = _POSITION.fullmatch(position)
    if match is None:
        return None
    for limit, whole, fraction in ((90, match[2], match[3]), (180, match[5], match[6])):
        whole = whole.lstrip(b"0")
        if len(whole) > 3 or int(whole or b"0") > limit:
            return None
        if int(whole or b"0") == limit and fraction.strip(b".0"):
            return None
    return position[: match.start(4)], position[match.start(4) :]


def decimal_key(text: bytes) -> DecimalKey:
    whole, _, fraction = text.partition(b".")
    whole = whole.lstrip(b"0")
    return (len(whole), whole, fraction.rstrip(b"0"))


def skew(received_ns: int, when: bytes) -> bytes:
    """Our time minus the client's, in nanoseconds: a sign and nine decimals, in integers."""
    whole, _, fraction = when.partition(b".")
    difference = received_ns - int(whole + fraction[:9].ljust(9, b"0"))
    sign, difference = (b"-", -difference) if difference < 0 else (b"+", difference)
    return b"%b%d.%09d" % (sign, difference // 10**9, difference % 10**9)


class Table:
    """The newest report of each client."""

    def __init__(self, server: bytes, herd: List[bytes]) -> None:
        self.server = server
        self.herd = frozenset(herd)
        self._records: Dict[bytes, Tuple[Tuple[DecimalKey, At], bytes]] = {}

    def __len__(self) -> int:
        return len(self._records)

    def lines(self) -> List[bytes]:
        return [line for _, line in self._records.values()]

    def get(self, id: bytes) -> Optional[Tuple[At, bytes]]:
        record = self._records.get(id)
        return None if record is None else (record[0][1], record[1])

    def iamat(self, report: Report) -> Tuple[Optional[bytes], bool]:
        """The answer (None: it would be too long to pass on), and whether it is news."""
        at = At(self.server, skew(time.time_ns(), report.time), report)
        line = at.line()
        if len(line) > LINE_MAX:
            return None, False
        known = self._records.get(report.id)
        # Said once more, a report keeps its first record.
        if known is not None and known[0][1].report == report:
            return line, False
        return line, self._join(at, line)

    def at(self, at: At) -> Tuple[bytes, bool]:
        """Another server's report, and whether it is news."""
        line = at.line()
        return line, at.server in self.herd and self._join(at, line)

    def _join(self, at: At, line: bytes) -> bool:
        # A total order, so that equal times end in the same record everywhere.
        key = (decimal_key(at.report.time), at)
        known = self._records.get(at.report.id)
        if known is not None and _rank(key) <= _rank(known[0]):
            return False
        self._records[at.report.id] = (key, line)
        return True


def _rank(key: Tuple[DecimalKey, At]) -> Tuple[DecimalKey, bytes, bytes, bytes, bytes]:
    when, at = key
    return (when, at.server, at.report.position, at.skew, at.report.time)
