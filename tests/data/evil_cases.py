"""What evil_upstream.py does to whom asks: each case is a function of a connection (its Peer).

What must come of each stands in tests/outside_evil/cases.rs.
"""

import gzip
import ssl
import time

BODY = (
    '{\n   "html_attributions" : [],\n\n\n   "results" : [\r\n\r\n'
    '      { "name" : "Pauley \\n\\n Pavilion", "lat" : 34.0700, "lng" : -118.4430 },\n'
    '      { "name" : "Bücher ☕ 𝄞", "rating" : 4.50e0 }\n   ],\n\n   "status" : "OK"\n}\n\n\n'
).encode()


def head(*lines, status="HTTP/1.1 200 OK"):
    return "".join(line + "\r\n" for line in (status, *lines, "")).encode("latin-1")


def sized(body, *lines, status="HTTP/1.1 200 OK"):
    return head(f"Content-Length: {len(body)}", *lines, status=status) + body


def good():
    return sized(BODY, "Content-Type: application/json; charset=UTF-8")


def chunked(*parts):
    return head("Transfer-Encoding: chunked") + b"".join(parts)


def chunk(data, extension=b""):
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


def answer(payload, end="hold"):
    """A good handshake, the request, these bytes, that end."""

    def play(peer):
        peer.handshake()
        peer.request()
        peer.say(payload)
        peer.end(end)

    return play


def unasked(payload, end="hold"):
    """The same, without waiting for the request."""

    def play(peer):
        peer.handshake()
        peer.say(payload)
        peer.end(end)

    return play


def plain(payload, end="hold", after_hello=True):
    """No TLS at all."""

    def play(peer):
        if after_hello:
            peer.sock.recv(65536)
        peer.raw(payload)
        peer.end(end)

    return play


def broken(payload, record, end="hold"):
    """Half an answer in good order, then these bytes among the records."""

    def play(peer):
        peer.handshake()
        peer.request()
        peer.say(payload)
        peer.raw(record)
        peer.end(end)

    return play


def forever(first, piece, each):
    """A beginning, then a piece again and again, so many seconds apart. Where `each` is None: as
    fast as it goes in a burst, and a byte in a millisecond otherwise."""

    def play(peer):
        peer.handshake()
        peer.request()
        peer.say(first)
        pause = each
        if each is None:
            pause = 0 if peer.pacing == "burst" else 0.001 * len(piece)
        while True:
            peer.say(piece if pause else piece * 1000)
            time.sleep(pause)

    return play


def later(first, then, end):
    """An answer, a while, more bytes."""

    def play(peer):
        peer.handshake()
        peer.request()
        peer.say(first)
        time.sleep(0.2)
        peer.say(then)
        peer.end(end)

    return play


def handshake_cut(how):
    """The server's first flight, less its end."""

    def play(peer):
        peer.incoming.write(peer.sock.recv(65536))
        try:
            peer.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        peer.raw(peer.outgoing.read()[:-20])
        peer.end(how)

    return play


def answer_before_the_question(peer):
    """In TLS 1.2 the server's Finished may share a segment with what comes next."""
    while True:
        try:
            peer.tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            peer.flush()
            peer.incoming.write(peer.sock.recv(65536))
    peer.say(good())
    peer.end("serve")


def client_certificate(peer):
    """Asks for a certificate that nobody has: TLS 1.3 says so only after the handshake."""
    try:
        peer.handshake()
        peer.request()
    except ssl.SSLError:
        peer.flush()
    peer.end("hold")


HALF = good()[: -len(BODY) // 2]
INTERIM = head(status="HTTP/1.1 100 Continue")
CHUNKS = [chunk(BODY[:50]), chunk(BODY[50:])]
LAST = b"0\r\n\r\n"
EMPTY = b'"html_attributions":[],"results":[]'


def endings():
    yield "short_fin", answer(HALF, "fin")
    yield "short_clean", answer(HALF, "clean")
    yield "short_rst", answer(HALF, "rst")
    yield "short_fin_tls12", answer(HALF, "fin")
    yield "short_clean_tls12", answer(HALF, "clean")
    yield "head_fin", answer(good()[:30], "fin")
    yield "head_clean", answer(good()[:30], "clean")
    yield "head_rst", answer(good()[:30], "rst")
    yield "nothing_fin", answer(b"", "fin")
    yield "nothing_clean", answer(b"", "clean")
    yield "nothing_rst", answer(b"", "rst")
    yield "interim_clean", answer(INTERIM, "clean")
    yield "until_close_fin", answer(head() + BODY, "fin")
    yield "until_close_rst", answer(head() + BODY, "rst")
    yield "chunked_fin", answer(chunked(*CHUNKS), "fin")
    yield "chunked_clean", answer(chunked(*CHUNKS), "clean")
    yield "chunked_clean_before_blank_line", answer(chunked(*CHUNKS, b"0\r\n"), "clean")


def lengths():
    def named(*lines):
        return answer(head(*lines) + BODY)

    size = f"Content-Length: {len(BODY)}"
    te = "Transfer-Encoding: "
    yield "cl_te", answer(head(size, te + "chunked") + b"".join(CHUNKS) + LAST)
    yield "te_cl", answer(head(te + "chunked", size) + b"".join(CHUNKS) + LAST)
    yield "cl_differ", named(size, "Content-Length: 5")
    yield "cl_list", named(f"{size}, {len(BODY)}")
    yield "cl_plus", named(f"Content-Length: +{len(BODY)}")
    yield "cl_minus", named(f"Content-Length: -{len(BODY)}")
    yield "cl_space", named("Content-Length: 1 0")
    yield "cl_hex", named("Content-Length: 0x10")
    yield "cl_empty", named("Content-Length:")
    yield "cl_overflow", named("Content-Length: 18446744073709551617")
    yield "cl_too_long", named("Content-Length: 1048577")
    yield "te_gzip", named(te + "gzip, chunked")
    yield "te_identity", named(te + "identity")
    yield "te_twice", named(te + "chunked", te + "chunked")
    old = head(te + "chunked", status="HTTP/1.0 200 OK")
    yield "te_in_http10", answer(old + b"".join(CHUNKS) + LAST)
    zipped = gzip.compress(BODY)
    yield "gzip", answer(sized(zipped, "Content-Encoding: gzip"))
    yield "gzip_unsaid", answer(sized(zipped), "serve")


def heads():
    def status(line):
        return answer(sized(BODY, status=line))

    def line(text):
        return answer(sized(BODY, text))

    yield "garbage", answer(bytes(range(128, 256)) * 20)
    yield "http09", answer(BODY, "clean")
    yield "http2_settings", answer(bytes([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]))
    yield "http2_preface", answer(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    yield "http2_status", status("HTTP/2 200")
    yield "blank_line_first", answer(b"\r\n" + good())
    yield "status_600", status("HTTP/1.1 600 OK")
    yield "status_099", status("HTTP/1.1 099 OK")
    yield "status_2000", status("HTTP/1.1 2000 OK")
    yield "reason_bell", status("HTTP/1.1 200 O\x07K")
    yield "obs_fold", line("X: a\r\n b")
    yield "bare_lf", answer(good().replace(b"\r\n", b"\n", 2))
    yield "bare_cr", line("X: a\rb")
    yield "no_colon", line("X")
    yield "no_name", line(": x")
    yield "space_before_colon", line("X : a")
    yield "nul_in_value", line("X: a\0b")
    yield "header_70k", line("X: " + "x" * 70_000)
    yield "headers_200", answer(sized(BODY, *(f"X-{n}: y" for n in range(200))))
    yield "switching", status("HTTP/1.1 101 Switching Protocols")
    yield "nine_interim", answer(INTERIM * 9 + good())
    yield "extra_bytes", answer(good() + b"x")
    yield "extra_answer", answer(good() + good())
    yield "endless_head", forever(head()[:-2], b"X: y\r\n", 0)
    yield "endless_line", forever(head()[:-2] + b"X: ", b"x", 0)
    yield "endless_interim", forever(b"", INTERIM, 0)


def chunk_tricks():
    def trick(*parts):
        return answer(chunked(*parts))

    yield "chunk_size_empty", trick(b"\r\n", LAST)
    yield "chunk_size_extension_only", trick(b";x\r\n", LAST)
    yield "chunk_size_space", trick(b" \r\n", LAST)
    yield "chunk_size_space_after", trick(b"5 \r\nhello\r\n", LAST)
    yield "chunk_size_0x", trick(b"0x5\r\nhello\r\n", LAST)
    yield "chunk_size_sign", trick(b"-5\r\nhello\r\n", LAST)
    yield "chunk_size_9_digits", trick(b"000000005\r\nhello\r\n", LAST)
    yield "chunk_size_bare_lf", trick(b"5\nhello\r\n", LAST)
    yield "chunk_size_bare_cr", trick(b"5\rhello\r\n", LAST)
    yield "chunk_size_huge", trick(b"ffffffff\r\n", b"x" * 1000)
    yield "chunk_line_long", trick(chunk(b"hello", b";" + b"x" * 300), LAST)
    yield "chunk_extensions_many", trick(chunk(b"x", b";" + b"y" * 200) * 100, LAST)
    yield "chunk_extension_bell", trick(chunk(b"hello", b";\x07"), LAST)
    yield "chunk_without_end", trick(b"5\r\nhello5\r\nhello\r\n", LAST)
    yield "chunk_too_short", trick(b"4\r\nhello\r\n", LAST)
    yield "chunk_trailer_space", trick(*CHUNKS, b"0\r\n X: y\r\n\r\n")
    yield "chunk_trailer_bare_lf", trick(*CHUNKS, b"0\r\nX: y\n\r\n")
    yield "chunk_trailers_long", trick(*CHUNKS, b"0\r\n", b"X: yyyyyyyyyyyyyyyyyyy\r\n" * 200, b"\r\n")
    yield "chunk_after_last", trick(*CHUNKS, LAST, LAST)
    yield "chunks_endless", forever(chunked(), chunk(b"x"), None)


def bodies():
    def json_of(text):
        return answer(sized(text if isinstance(text, bytes) else text.encode()), "serve")

    def status(code, *lines, body=BODY):
        return answer(sized(body, *lines, status=f"HTTP/1.1 {code} Whatever"), "serve")

    here = "Location: /maps/api/place/nearbysearch/json"
    html = b"<!DOCTYPE html><title>502</title><h1>Bad Gateway</h1>"
    for code in (301, 302, 307):
        yield f"redirect_{code}", status(code, here)
    for code in (201, 204, 304, 400, 401, 403, 404, 429, 500, 502, 503, 504):
        yield f"status_{code}", status(code, body=html if code not in (204, 304) else b"")
    yield "html", json_of(html)
    yield "empty", json_of(b"")
    yield "empty_chunked", answer(chunked(LAST), "serve")
    yield "json_cut", json_of(BODY[:-20])
    yield "json_two", json_of(BODY + b"{}")
    yield "json_array", json_of("[]")
    yield "json_null", json_of("null")
    yield "json_other_shape", json_of('{"a":1}')
    yield "json_of_the_new_api", json_of('{"places":[]}')
    yield "json_word_unknown", json_of(b'{%s,"status":"FINE"}' % EMPTY)
    yield "json_word_a_number", json_of(b'{%s,"status":200}' % EMPTY)
    yield "json_word_twice", json_of(b'{%s,"status":"OK","status":"OK"}' % EMPTY)
    yield "json_results_missing", json_of('{"status":"OK"}')
    yield "json_results_an_object", json_of('{"results":{},"status":"OK"}')
    yield "json_results_of_numbers", json_of('{"results":[1],"status":"OK"}')
    yield "json_nan", json_of('{"results":[{"a":NaN}],"status":"OK"}')
    yield "json_bom", json_of(b"\xef\xbb\xbf" + BODY)
    yield "json_utf16", json_of(BODY.decode().encode("utf-16"))
    yield "json_not_utf8", json_of(BODY.replace(b"Pauley", b"Pau\xff\xfe"))
    deep = b"[" * 3000 + b"]" * 3000
    yield "json_deep", json_of(b'{"results":[{"a":' + deep + b'}],"status":"OK"}')
    yield "json_deep_unclosed", json_of(b'{"a":' * 3000)
    yield "body_endless", forever(head(), b"x", None)
    yield "body_drip", forever(head("Content-Length: 1000"), b"x", 0.1)
    yield "head_drip", forever(b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.1)
    yield "silence", answer(b"")


def tls():
    alert = bytes([21, 3, 3, 0, 2, 2, 40])
    noise = bytes([23, 3, 3, 0, 64]) + bytes(range(64))
    yield "close_at_once", plain(b"", "fin", after_hello=False)
    yield "reset_at_once", plain(b"", "rst", after_hello=False)
    yield "close_after_hello", plain(b"", "fin")
    yield "reset_after_hello", plain(b"", "rst")
    yield "no_handshake", plain(b"")
    yield "plaintext", plain(good())
    yield "plaintext_first", plain(b"220 mail.example ESMTP\r\n", after_hello=False)
    yield "noise", plain(bytes(range(100, 200)))
    yield "alert_instead_of_hello", plain(alert)
    yield "hello_too_long", plain(bytes([22, 3, 3, 255, 255]) + b"x" * 70_000)
    yield "handshake_cut_fin", handshake_cut("fin")
    yield "handshake_cut_hold", handshake_cut("hold")
    yield "after_handshake_fin", unasked(b"", "fin")
    yield "after_handshake_clean", unasked(b"", "clean")
    yield "client_certificate", client_certificate
    yield "answer_before_the_question_tls12", answer_before_the_question
    yield "plain_alert_later", broken(HALF, alert)
    yield "noise_later", broken(HALF, noise)
    yield "noise_later_tls12", broken(HALF, noise)
    yield "plain_hello_request_later_tls12", broken(HALF, bytes([22, 3, 3, 0, 4, 0, 0, 0, 0]))
    yield "record_too_long_later", broken(HALF, bytes([23, 3, 3, 255, 255]) + b"x" * 70_000)
    yield "record_unknown_later", broken(HALF, bytes([99, 3, 3, 0, 1, 0]))
    yield "plaintext_later", broken(HALF, BODY)


def benign():
    yield "good", answer(good(), "serve")
    yield "good_tls12", answer(good(), "serve")
    yield "good_close_fin", answer(sized(BODY, "Connection: close"), "fin")
    yield "good_close_rst", later(sized(BODY, "Connection: close"), b"", "rst")
    yield "good_until_close", answer(head() + BODY, "clean")
    yield "good_until_close_http10", answer(head(status="HTTP/1.0 200 OK") + BODY, "clean")
    yield "good_http10", answer(sized(BODY, status="HTTP/1.0 200 OK"), "hold")
    yield "good_chunked", answer(chunked(*CHUNKS, LAST), "serve")
    odd = [chunk(BODY[n : n + 1], b';a="b c"') for n in range(len(BODY))]
    yield "good_chunks_of_a_byte", answer(chunked(*odd, b"000\r\nX-Y: z\r\n\r\n"), "serve")
    size = f"Content-Length: 000{len(BODY)}"
    yield "good_cl_equal", answer(sized(BODY, size), "serve")
    yield "good_eight_interim", answer(INTERIM * 8 + good(), "serve")
    yield "good_64_headers", answer(sized(BODY, *(f"X-{n}: y" for n in range(63))), "serve")
    yield "good_no_reason", answer(sized(BODY, status="HTTP/1.1 200"), "serve")
    yield "good_extra_later", later(good(), b"x", "hold")
    yield "good_answer_later", later(good(), good(), "hold")
    yield "good_noise_later", lambda peer: later_raw(peer, bytes([23, 3, 3, 0, 5]) + b"noise")
    refusal = b'{"error_message":"Slow down.",%s,"status":"OVER_QUERY_LIMIT"}' % EMPTY
    yield "refusal", answer(sized(refusal), "serve")
    yield "its_own_unknown_error", answer(sized(b'{%s,"status":"UNKNOWN_ERROR"}' % EMPTY), "serve")


def later_raw(peer, record):
    """A good answer, a while, bytes that are no record of this session."""
    peer.handshake()
    peer.request()
    peer.say(good())
    time.sleep(0.2)
    peer.raw(record)
    peer.end("hold")


def cases():
    for group in (endings, lengths, heads, chunk_tricks, bodies, tls, benign):
        yield from group()
