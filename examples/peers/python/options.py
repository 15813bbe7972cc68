"""The command line and the herd file."""

import argparse
import json
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

COURSE = {
    "servers": {
        "Bailey": "127.0.0.1:10000",
        "Bona": "127.0.0.1:10001",
        "Campbell": "127.0.0.1:10002",
        "Clark": "127.0.0.1:10003",
        "Jaquez": "127.0.0.1:10004",
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

Address = Tuple[str, int]


class Options(NamedTuple):
    name: str
    servers: Dict[str, Address]
    neighbours: List[str]
    places_url: Optional[str]
    ca_file: Optional[str]
    #: The journal's file.
    log: Optional[str]
    #: BURN is a command.
    burn: bool
    uvloop: bool

    @property
    def address(self) -> Address:
        return self.servers[self.name]


def parse(description: Optional[str]) -> Options:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name")
    parser.add_argument("--herd", metavar="FILE", help="the herd file, as JSON")
    parser.add_argument("--places-url", metavar="URL", help="who answers WHATSAT")
    parser.add_argument("--ca-file", metavar="PEM", help="one more root for it")
    parser.add_argument("--log", metavar="FILE", help="the journal; none for no journal")
    parser.add_argument("--burn", action="store_true", help="take BURN: for the comparison only")
    parser.add_argument("--uvloop", action="store_true", help="run on uvloop")
    arguments = parser.parse_args()
    herd: Dict[str, Any] = COURSE
    if arguments.herd:
        with open(arguments.herd, encoding="utf-8") as file:
            herd = json.load(file)
    servers = {name: _address(text) for name, text in herd["servers"].items()}
    name = arguments.name
    if name not in servers:
        parser.error("%s is none of %s" % (name, ", ".join(servers)))
    log = arguments.log or name + ".log"
    return Options(
        name=name,
        servers=servers,
        neighbours=[b if a == name else a for a, b in herd["links"] if name in (a, b)],
        places_url=arguments.places_url,
        ca_file=arguments.ca_file,
        log=None if log == "none" else log,
        burn=arguments.burn,
        uvloop=arguments.uvloop,
    )


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
