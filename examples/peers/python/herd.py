"""What both Python herds share: the command line, the herd file, the journal, the back-off."""

import argparse
import json
import random
import time
from typing import Dict, IO, List, NamedTuple, Optional, Tuple

COURSE = {
    "servers": {
        name: "127.0.0.1:%d" % (10000 + index)
        for index, name in enumerate(["Bailey", "Bona", "Campbell", "Clark", "Jaquez"])
    },
    "links": [
        ["Clark", "Jaquez"],
        ["Clark", "Bona"],
        ["Campbell", "Bailey"],
        ["Campbell", "Bona"],
        ["Campbell", "Jaquez"],
        ["Bona", "Bailey"],
    ],
}

#: Above this many unsent bytes a link is cut: the whole table follows when it is dialled again.
LINK_UNSENT_MAX = 4 << 20

Address = Tuple[str, int]


class Options(NamedTuple):
    name: str
    servers: Dict[str, Address]
    neighbours: List[str]
    places_url: Optional[str]
    ca_file: Optional[str]
    log: Optional[str]
    uvloop: bool

    @property
    def address(self) -> Address:
        return self.servers[self.name]


def options(description: str) -> Options:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("name")
    parser.add_argument("--herd", help="the herd file, as JSON")
    parser.add_argument("--places-url", help="who answers WHATSAT")
    parser.add_argument("--ca-file", help="one more root for it, in PEM")
    parser.add_argument("--log", help="the journal; none for no journal")
    parser.add_argument("--uvloop", action="store_true", help="run on uvloop")
    arguments = parser.parse_args()
    herd = COURSE
    if arguments.herd:
        with open(arguments.herd, encoding="utf-8") as file:
            herd = json.load(file)
    servers: Dict[str, Address] = {}
    for name, address in dict(herd["servers"]).items():
        host, _, port = address.rpartition(":")
        servers[name] = (host.strip("[]"), int(port))
    if arguments.name not in servers:
        parser.error("%s is none of %s" % (arguments.name, ", ".join(servers)))
    links = [pair for pair in herd["links"] if arguments.name in pair]
    neighbours = [b if a == arguments.name else a for a, b in links]
    log = arguments.log or arguments.name + ".log"
    return Options(
        arguments.name,
        servers,
        neighbours,
        arguments.places_url,
        arguments.ca_file,
        None if log == "none" else log,
        arguments.uvloop,
    )


class Journal:
    """A line for each line that comes and goes. Written when the loop says so, in one write."""

    def __init__(self, path: Optional[str]) -> None:
        self.enabled = path is not None
        self._lines: List[str] = []
        self._file: Optional[IO[str]] = open(path, "a", encoding="utf-8") if path else None

    def note(self, who: str, direction: str, text: bytes) -> None:
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        # repr() escapes what is not printable, and a backslash: one entry stays one line.
        entry = repr(text.rstrip(b"\n"))[2:-1]
        self._lines.append("%s.%06dZ %s %s %s\n" % (stamp, now % 1 * 1e6, who, direction, entry))

    def flush(self) -> None:
        if self._file is None or not self._lines:
            return
        try:
            self._file.write("".join(self._lines))
            self._file.flush()
        except OSError:
            # A full disk is no reason to stop.
            pass
        self._lines.clear()


class Backoff:
    """Waits from 100 ms to 10 s, each drawn evenly from zero to a ceiling that doubles."""

    def __init__(self) -> None:
        self.failures = 0

    def next(self) -> float:
        ceiling = min(10.0, 0.1 * 2 ** min(self.failures, 16))
        self.failures += 1
        return random.uniform(0, ceiling)
