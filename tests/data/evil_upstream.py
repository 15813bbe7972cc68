#!/usr/bin/env python3
"""An upstream that breaks every rule, one at a time: Python's ssl, three pacings.

    evil_upstream.py CERTIFICATE KEY

Every pair of case and pacing has a port of its own. The first line of standard output says, in
JSON, which, and what the good body is. The first connection to a port meets the case; all later
ones are answered well. When the other side has closed a first connection, a line says so:
CASE/PACING. It all stops when standard input ends.

Pacings: `burst` gives a case's bytes to TLS at once and the ciphertext to the socket at once;
`records` gives TLS single bytes, each a record and a segment of its own; `trickle` gives them to
TLS at once, and the ciphertext to the socket byte by byte, the handshake's too.
"""

import json
import os
import selectors
import socket
import ssl
import struct
import sys
import threading
import time

# Nothing is to be left beside this file.
sys.dont_write_bytecode = True

from evil_cases import BODY, cases, good

PACINGS = ["burst", "records", "trickle"]
# So many bytes of a connection go one by one with a pause after each; the others without.
PAUSED_BYTES = 2000
PAUSE = 0.00005
# Longer than any deadline of the client's.
HOLD = 30.0


class Peer:
    """One connection, TLS in memory, the socket by hand."""

    def __init__(self, sock, context, pacing):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(HOLD)
        self.sock, self.pacing = sock, pacing
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.heard = b""
        self.paused = 0

    def raw(self, data):
        """Bytes for the socket, without TLS."""
        if self.pacing != "trickle":
            self.sock.sendall(data)
            return
        for byte in data:
            self.sock.sendall(bytes([byte]))
            self.pause()

    def pause(self):
        if self.paused < PAUSED_BYTES:
            self.paused += 1
            time.sleep(PAUSE)

    def flush(self):
        self.raw(self.outgoing.read())

    def say(self, data):
        """Bytes for TLS."""
        if self.pacing == "records":
            for byte in data:
                self.tls.write(bytes([byte]))
                self.flush()
                self.pause()
        elif data:
            self.tls.write(data)
            self.flush()

    def until(self, step):
        """Repeats a step of TLS while it wants to read. False: the other side has ended."""
        while True:
            try:
                step()
                self.flush()
                return True
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(65536)
                if not data:
                    return False
                self.incoming.write(data)

    def handshake(self):
        if not self.until(self.tls.do_handshake):
            raise ConnectionError("no handshake")

    def request(self):
        """Waits for the end of a GET's head. False: the other side has ended."""

        def more():
            data = self.tls.read(65536)
            if not data:
                raise ConnectionError("close_notify")
            self.heard += data

        while b"\r\n\r\n" not in self.heard:
            if not self.until(more):
                return False
        self.heard = self.heard.partition(b"\r\n\r\n")[2]
        return True

    def serve(self):
        """Good answers, for as long as they are wanted."""
        while self.request():
            self.say(good())

    def end(self, how):
        """`hold`: nothing more; `fin`: the socket ends, TLS does not; `clean`: both; `rst`."""
        if how == "serve":
            return self.serve()
        if how == "rst":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return self.sock.close()
        if how == "clean":
            try:
                self.tls.unwrap()
            except ssl.SSLError:
                pass  # It wants the other's close_notify.
            self.flush()
        if how in ("fin", "clean"):
            self.sock.shutdown(socket.SHUT_WR)
        while self.sock.recv(65536):
            pass


def context(certificate, key, version=None, asks=False):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, key)
    if version:
        made.maximum_version = version
    if asks:
        made.load_verify_locations(certificate)
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def meet(sock, made, pacing, play, name):
    """Serves one connection; `play` None: well."""
    peer = Peer(sock, made, pacing)
    try:
        if play:
            play(peer)
        else:
            peer.handshake()
            peer.serve()
    except (OSError, ssl.SSLError):
        pass  # The other side is gone, and it may.
    sock.close()
    if play:
        os.write(1, (name + "\n").encode())


def is_stranger(sock):
    """Somebody else's stray connection, to a port that was another's: it speaks no TLS, and must not
    take the only performance of a fault."""
    sock.settimeout(1)
    try:
        stranger = sock.recv(1, socket.MSG_PEEK) != b"\x16"
    except OSError:
        stranger = True
    sock.settimeout(None)
    return stranger


def main():
    certificate, key = sys.argv[1:]
    contexts = {
        "": context(certificate, key),
        "tls12": context(certificate, key, version=ssl.TLSVersion.TLSv1_2),
        "asks": context(certificate, key, asks=True),
    }
    ports = {}
    waiting = selectors.DefaultSelector()
    waiting.register(sys.stdin, selectors.EVENT_READ)
    for case, play in cases():
        kind = "tls12" if case.endswith("_tls12") else ""
        for pacing in PACINGS:
            name = f"{case}/{pacing}"
            listener = socket.create_server(("127.0.0.1", 0), backlog=8)
            entry = {"name": name, "pacing": pacing, "play": play, "made": contexts[kind]}
            if case == "client_certificate":
                entry["first"] = contexts["asks"]
            waiting.register(listener, selectors.EVENT_READ, entry)
            ports[name] = listener.getsockname()[1]
    os.write(1, (json.dumps({"body": BODY.decode(), "ports": ports}) + "\n").encode())
    while True:
        for event, _ in waiting.select():
            entry = event.data
            if entry is None:
                os._exit(0)
            sock, _ = event.fileobj.accept()
            if is_stranger(sock):
                sock.close()
                continue
            play = entry.pop("play", None)
            made = entry.pop("first", entry["made"])
            arguments = (sock, made, entry["pacing"], play, entry["name"])
            threading.Thread(target=meet, args=arguments, daemon=True).start()


main()
