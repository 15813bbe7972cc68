"""The journal: a line for each line that comes or goes."""

import asyncio
import time
from typing import IO, List, Optional

FLUSH_EVERY = 0.05


class Journal:
    """Entries wait for at most 50 ms; all that wait are one write.

    The write is a plain one, on the loop: asyncio has no files, and a thread for each write would
    cost more than the page cache does.
    """

    def __init__(self, path: Optional[str]) -> None:
        self._file: Optional[IO[str]] = open(path, "a", encoding="ascii") if path else None
        self._entries: List[str] = []
        self._second = 0
        self._stamp = ""

    @property
    def is_kept(self) -> bool:
        return self._file is not None

    def note(self, who: str, direction: str, text: bytes) -> None:
        if self._file is None:
            return
        if not self._entries:
            asyncio.get_running_loop().call_later(FLUSH_EVERY, self.flush)
        second, nanoseconds = divmod(time.time_ns(), 10**9)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        # repr() escapes what is not printable, and a backslash: one entry stays one line.
        escaped = repr(text.rstrip(b"\n"))[2:-1]
        entry = "%s.%06dZ %s %s %s\n" % (self._stamp, nanoseconds // 1000, who, direction, escaped)
        self._entries.append(entry)

    def flush(self) -> None:
        if self._file is None or not self._entries:
            return
        entries, self._entries = self._entries, []
        try:
            self._file.write("".join(entries))
            self._file.flush()
        except OSError:
            # A full disk is no reason to stop.
            pass

    def close(self) -> None:
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None
