"""What a line means. No sockets, no table.

Lines are bytes throughout: a client's id may hold anything but white space, and Python's text would
not survive it. Times are compared as exact decimals: a float loses the last digits of a nanosecond.
"""

import re
import sys
from typing import NamedTuple, Optional, Tuple, Union

#: The LF not counted.
LINE_MAX = 64 * 1024
ID_MAX = 4096
#: What of a line that is too long comes back.
TOO_LONG_ECHO = 128

# A time may have as many digits as its line has room for.
if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)

_DECIMAL = re.compile(rb"[0-9]+(?:\.[0-9]+)?")
_POSITION = re.compile(
    rb"[+-]0*([0-9]{1,3})((?:\.[0-9]+)?)" rb"[+-]0*([0-9]{1,3})((?:\.[0-9]+)?)"
)
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


class Question(NamedTuple):
    """Whom a client asks about, how far around, and how many places it wants."""

    id: bytes
    radius_metres: int
    bound: int


class Greeting(NamedTuple):
    """A server says who it is."""

    name: str


class Burn(NamedTuple):
    """So much work, and where it is to be done: here, or in a thread, or in a process."""

    milliseconds: int
    where: bytes


Command = Union[Report, At, Question, Greeting, Burn]


def parse(line: bytes) -> Optional[Command]:
    """A line without its LF; None if the command is invalid."""
    # Without arguments, bytes.split() separates at exactly the six bytes that the protocol names.
    fields = line.split()
    count = len(fields)
    if count == 4 and fields[0] == b"IAMAT":
        return _report(fields[1], fields[2], fields[3])
    if count == 6 and fields[0] == b"AT":
        report = _report(fields[3], fields[4], fields[5])
        if report is None or not _SKEW.fullmatch(fields[2]):
            return None
        return At(fields[1], fields[2], report)
    if count == 4 and fields[0] == b"WHATSAT":
        return _question(fields[1], fields[2], fields[3])
    if count == 2 and fields[0] == b"PEER":
        return Greeting(fields[1].decode("utf-8", "replace"))
    if 2 <= count <= 3 and fields[0] == b"BURN":
        return _burn(fields[1], b" ".join(fields[2:]))
    return None


def invalid(line: bytes) -> bytes:
    """The answer to an invalid command."""
    return b"? " + line + b"\n"


def _report(id: bytes, position: bytes, when: bytes) -> Optional[Report]:
    if len(id) > ID_MAX or not _is_position(position) or not _DECIMAL.fullmatch(when):
        return None
    return Report(id, position, when)


def _is_position(text: bytes) -> bool:
    match = _POSITION.fullmatch(text)
    if match is None:
        return False
    latitude, fraction, longitude, fraction2 = match.groups()
    return _is_within(90, latitude, fraction) and _is_within(180, longitude, fraction2)


def _is_within(limit: int, degrees: bytes, fraction: bytes) -> bool:
    whole = int(degrees)
    return whole < limit or (whole == limit and not fraction.strip(b".0"))


def _question(id: bytes, radius: bytes, bound: bytes) -> Optional[Question]:
    if len(id) > ID_MAX or not _DECIMAL.fullmatch(radius) or not bound.isdigit():
        return None
    if decimal_key(radius) > decimal_key(b"50") or decimal_key(bound) > decimal_key(b"20"):
        return None
    whole, _, fraction = radius.partition(b".")
    return Question(id, int(whole + fraction[:3].ljust(3, b"0")), int(bound))


def _burn(milliseconds: bytes, where: bytes) -> Optional[Burn]:
    if not milliseconds.isdigit() or decimal_key(milliseconds) > decimal_key(b"10000"):
        return None
    return Burn(int(milliseconds), where) if where in (b"", b"away", b"process") else None


def decimal_key(text: bytes) -> DecimalKey:
    whole, _, fraction = text.partition(b".")
    whole = whole.lstrip(b"0")
    return (len(whole), whole, fraction.rstrip(b"0"))


def skew(received_ns: int, when: bytes) -> bytes:
    """Our time minus the client's: a sign and nine decimals, in integers."""
    whole, _, fraction = when.partition(b".")
    difference = received_ns - int(whole + fraction[:9].ljust(9, b"0"))
    sign = b"-" if difference < 0 else b"+"
    seconds, nanoseconds = divmod(abs(difference), 10**9)
    return b"%b%d.%09d" % (sign, seconds, nanoseconds)
