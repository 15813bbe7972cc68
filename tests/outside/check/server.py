"""A small right server of the course's herd, and many ways to get it wrong, one at a time.

    python3 server.py NAME GOOGLE MISTAKE NAME=PORT…

GOOGLE is where Places is asked, such as http://127.0.0.1:8080.
"""

import asyncio
import http.client
import json
import re
import sys
import time

PORTS = {"Bailey": 10000, "Bona": 10001, "Campbell": 10002, "Clark": 10003, "Jaquez": 10004}
LINKS = [
    ("Clark", "Jaquez"), ("Clark", "Bona"), ("Campbell", "Bailey"),
    ("Campbell", "Bona"), ("Campbell", "Jaquez"), ("Bona", "Bailey"),
]
SPACE = b" \t\r\n\f\v"
NAME, GOOGLE, MISTAKE = sys.argv[1:4]
for _port in sys.argv[4:]:
    _name, _number = _port.split("=")
    PORTS[_name] = int(_number)
NEIGHBOURS = [b if a == NAME else a for a, b in LINKS if NAME in (a, b)]
if MISTAKE == "all are neighbours":
    NEIGHBOURS = [name for name in PORTS if name != NAME]
TABLE = {}
LINKED = {}
SEEN = set()


def wrong(name):
    return MISTAKE == name


def fields(line):
    if wrong("split like Python"):
        return [word.encode("latin-1") for word in line.decode("latin-1").split()]
    if wrong("split at one space"):
        return line.split(b" ")
    return [word for word in re.split(b"[ \t\r\n\f\v]+", line) if word]


def is_position(text):
    digits = rb"\d+(?:\.\d+)?"
    signs = rb"[+-]?" if wrong("unsigned positions") else rb"[+-]"
    found = re.fullmatch(rb"([+-]" .replace(b"[+-]", signs) + digits + rb")(" + rb"[+-]" + digits + rb")", text)
    if wrong("positions by float"):
        try:
            at = max(text.rfind(b"+"), text.rfind(b"-"))
            float(text[:at]), float(text[at:])
            return True
        except ValueError:
            return False
    if not found:
        return False
    latitude, longitude = (abs(float(part)) for part in found.groups())
    if wrong("positions of no range"):
        return True
    if wrong("swapped ranges"):
        latitude, longitude = longitude, latitude
    exact = [re.sub(rb"[+-]", b"", part) for part in found.groups()]
    beyond = any(
        float(part) == most and b"." in part and part.split(b".")[1].strip(b"0")
        for part, most in zip(exact, (90, 180))
    )
    return latitude <= 90 and longitude <= 180 and not beyond


def is_time(text):
    if wrong("times by float"):
        try:
            float(text)
            return True
        except ValueError:
            return False
    if wrong("nine decimals demanded"):
        return bool(re.fullmatch(rb"\d+\.\d{9}", text))
    return bool(re.fullmatch(rb"\d+(\.\d+)?", text))


def number(text, most, whole):
    if wrong("numbers by float"):
        try:
            return float(text) <= most
        except ValueError:
            return False
    form = rb"\d+" if whole else rb"\d+(\.\d+)?"
    if not re.fullmatch(form, text):
        return False
    whole_part, _, fraction = text.partition(b".")
    if wrong("no largest radius") and most == 50 or wrong("no largest bound") and most == 20:
        return True
    value = int(whole_part)
    return value < most or (value == most and not fraction.strip(b"0"))


def order(text):
    whole, _, fraction = text.partition(b".")
    if wrong("times through doubles"):
        return float(text)
    if wrong("times as text"):
        return text
    return (int(whole), fraction.rstrip(b"0"))


def skew(text):
    whole, _, fraction = text.partition(b".")
    theirs = int(whole) * 10**9 + int((fraction + b"0" * 9)[:9])
    ours = time.time_ns()
    nanos = theirs - ours if wrong("skew turned around") else ours - theirs
    sign = "+" if nanos >= 0 else "-"
    if wrong("no plus"):
        sign = sign.replace("+", "")
    whole, fraction = divmod(abs(nanos), 10**9)
    if wrong("skew as str"):
        return repr(nanos / 1e9).encode()
    if wrong("skew of whole seconds"):
        fraction = 0
    if wrong("skew of six decimals"):
        return f"{sign}{whole}.{fraction // 1000:06}".encode()
    return f"{sign}{whole}.{fraction:09}".encode()


def keep(client, at, when, repeated=False):
    known = TABLE.get(client)
    if wrong("the last report counts"):
        # What was heard before is not passed on, or it would go in circles for ever.
        newer = at not in SEEN
        SEEN.add(at)
    else:
        newer = known is None or order(when) > order(known[0])
    if newer:
        TABLE[client] = (when, at)
    return newer


def catches_up():
    """Whoever floods wrongly must not make up for it by telling its table to a neighbour that was late."""
    return not any(map(wrong, ("no catching up", "no flood", "one neighbour only", "floods a second later")))


async def flood(at, but=None):
    if wrong("no flood"):
        return
    for name in NEIGHBOURS:
        if name == but or (wrong("one neighbour only") and name != NEIGHBOURS[0]):
            continue
        await tell(name, at)


async def dial(name):
    reader, writer = await asyncio.open_connection("127.0.0.1", PORTS[name])
    writer.write(b"PEER " + NAME.encode() + b"\n")
    LINKED[name] = writer

    async def watch():
        # Nothing is said to us here; all that can come is the end.
        try:
            while await reader.read(4096):
                pass
        except OSError:
            pass
        writer.close()

    asyncio.ensure_future(watch())
    return writer


async def tell(name, at):
    """Our link to a neighbour: dialled when it is needed, again if it is gone."""
    for _ in range(2):
        writer = LINKED.get(name)
        if writer is None or writer.is_closing():
            if wrong("dials once") and name in LINKED:
                return
            try:
                writer = await dial(name)
            except OSError:
                LINKED.setdefault(name, writer)
                return
            if catches_up():
                for _, other in list(TABLE.values()):
                    writer.write(other)
        writer.write(at)
        if wrong("waits for a frozen neighbour"):
            writer.transport.set_write_buffer_limits(0)
            await writer.drain()
        await asyncio.sleep(0)
        if not writer.is_closing():
            return


EMPTY = b'{"html_attributions":[],"results":[],"status":"UNKNOWN_ERROR"}'
ONE_AT_A_TIME = asyncio.Lock()


def ask_google(position, radius):
    """What Google says, whatever it is; it blocks."""
    at = max(position.rfind(b"+"), position.rfind(b"-"))
    latitude, longitude = float(position[:at]), float(position[at:])
    if wrong("longitude first for Google"):
        latitude, longitude = longitude, latitude
    metres = float(radius) * (1 if wrong("kilometres for Google") else 1000)
    timeout = None if wrong("no time limit for Google") else 8
    connection = http.client.HTTPConnection(GOOGLE.removeprefix("http://"), timeout=timeout)
    try:
        path = "/maps/api/place/nearbysearch/json"
        connection.request("GET", f"{path}?location={latitude},{longitude}&radius={metres:g}&key=none")
        response = connection.getresponse()
        body = response.read()
        if response.status != 200 or not isinstance(json.loads(body), dict):
            raise ValueError(response.status)
        return body
    finally:
        connection.close()


async def say_google(position, radius):
    if wrong("Google holds everybody up"):
        return ask_google(position, radius)
    in_a_thread = asyncio.get_running_loop().run_in_executor
    if wrong("one question at a time"):
        async with ONE_AT_A_TIME:
            return await in_a_thread(None, ask_google, position, radius)
    return await in_a_thread(None, ask_google, position, radius)


def cut(body, bound):
    value = json.loads(body)
    if wrong("a result too many"):
        bound += 1
    if wrong("no cut") or len(value.get("results", [])) <= bound:
        return body
    value["results"] = value["results"][:bound]
    if wrong("only the results"):
        value = {"results": value["results"]}
    return json.dumps(value, indent=3, ensure_ascii=False).encode()


async def places(position, radius, bound):
    try:
        body = cut(await say_google(position, radius), int(bound))
    except (OSError, ValueError, http.client.HTTPException):
        if wrong("dies with Google"):
            raise
        body = EMPTY
    if wrong("JSON printed anew"):
        body = json.dumps(json.loads(body), indent=2).encode()
    if wrong("refusals are failures") and json.loads(body)["status"] != "OK":
        body = EMPTY
    if wrong("newlines as they come"):
        return body.rstrip(b"\n") + b"\n\n"
    body = re.sub(rb"(\r?\n)+", b"\n", body).rstrip(b"\n")
    if wrong("blank lines in the JSON"):
        body = body.replace(b"\n", b"\n\n", 1)
    if wrong("no JSON"):
        body = repr(json.loads(body)).encode()
    ends = {"one newline": b"\n", "three newlines": b"\n\n\n", "no newlines": b"", "a word more": b"\n\nbye"}
    return body + ends.get(MISTAKE, b"\n\n")


async def answer(line, state):
    parts = fields(line)
    copy = b"? " + line + b"\n"
    if wrong("an echo of fields"):
        copy = b"? " + b" ".join(parts) + b"\n"
    if wrong("an echo without a space"):
        copy = b"?" + line + b"\n"
    if wrong("silence for what is invalid"):
        copy = b""
    if wrong("an echo in UTF-8"):
        copy = b"? " + line.decode("utf-8", "replace").encode() + b"\n"
    word = parts[0] if parts else b""
    if wrong("any case") and word.upper() in (b"IAMAT", b"WHATSAT"):
        word = word.upper()
    if word == b"IAMAT" and (len(parts) == 4 or wrong("more fields") and len(parts) > 4):
        client, position, when = parts[1:4]
        if not is_position(position) or not is_time(when):
            return copy
        shown = position
        if wrong("positions printed anew"):
            at = max(position.rfind(b"+"), position.rfind(b"-"))
            shown = f"{float(position[:at]):+}{float(position[at:]):+}".encode()
        if wrong("times printed anew"):
            when = repr(float(when)).encode()
        if wrong("swapped coordinates"):
            at = max(position.rfind(b"+"), position.rfind(b"-"))
            shown = position[at:] + position[:at]
        if wrong("lower-case ids"):
            client = client.lower()
        name = b"Bailey" if wrong("another name") else NAME.encode()
        at = b" ".join([b"AT", name, skew(when), client, shown, when]) + b"\n"
        known = TABLE.get(client)
        if known and known[0] == when and wrong("a repeated report is invalid"):
            return copy
        if known and order(when) < order(known[0]) and wrong("an older report gets the newer one"):
            return known[1]
        if keep(client, at, when):
            if wrong("floods a second later"):
                asyncio.get_running_loop().call_later(4, lambda: asyncio.ensure_future(flood(at)))
            else:
                await flood(at)
        return at.rstrip(b"\n") if wrong("no line feed") else at
    if word == b"WHATSAT" and len(parts) == 4:
        client, radius, bound = parts[1:]
        if wrong("lower-case ids"):
            client = client.lower()
        if client not in TABLE or not number(radius, 50, False) or not number(bound, 20, True):
            return copy
        when, at = TABLE[client]
        if wrong("skew of the question"):
            words = at.split(b" ")
            at = b" ".join(words[:2] + [skew(when)] + words[3:])
        if wrong("the answering server's name"):
            words = at.split(b" ")
            at = b" ".join([words[0], NAME.encode()] + words[2:])
        return at + await places(at.split(b" ")[4], radius, bound)
    if word == b"PEER" and len(parts) == 2 and parts[1].decode("latin-1") in NEIGHBOURS:
        state["peer"] = parts[1].decode()
        return b""
    if word == b"AT" and len(parts) == 6 and (state["peer"] or wrong("AT from a phone")):
        at = b" ".join(parts) + b"\n"
        if keep(parts[3], at, parts[5]) or wrong("passes everything on"):
            await flood(at, state["peer"])
        return b""
    return copy


async def serve(reader, writer):
    state = {"peer": None}
    rest = b""
    while True:
        if wrong("a read is a command"):
            data = await reader.read(65536)
            if not data:
                break
            writer.write(await answer(data.rstrip(b"\n"), state))
            await writer.drain()
            continue
        data = await reader.read(65536)
        rest += data
        if wrong("one command a read") and rest.count(b"\n") > 1:
            rest = rest[: rest.index(b"\n") + 1]
        lines = rest.split(b"\n")
        rest = lines.pop()
        if not data and rest and not wrong("a last line without LF is lost"):
            lines.append(rest)
            rest = b""
        for line in lines:
            if wrong("dies of odd bytes"):
                line.decode("ascii")
            if wrong("answers overtake each other"):
                async def overtaking(line=line):
                    writer.write(await answer(line, state))
                asyncio.ensure_future(overtaking())
                continue
            writer.write(await answer(line, state))
            await writer.drain()
            if wrong("closes after one answer") and not state["peer"]:
                writer.close()
                return
        if not data:
            break
    if wrong("never closes"):
        await asyncio.sleep(60)
    writer.close()


async def main():
    if wrong("does not start"):
        raise SystemExit("no such thing")
    server = await asyncio.start_server(serve, "127.0.0.1", PORTS[NAME], limit=1 << 20)
    for name in NEIGHBOURS:
        try:
            await dial(name)
        except OSError:
            pass
    # A neighbour that has come back is dialled again, and told the table.
    async def again():
        while catches_up() and not wrong("dials once"):
            await asyncio.sleep(0.2)
            for name in NEIGHBOURS:
                writer = LINKED.get(name)
                if writer is None or writer.is_closing():
                    LINKED.pop(name, None)
                    if TABLE:
                        when, at = next(iter(TABLE.values()))
                        await tell(name, at)
    asyncio.ensure_future(again())
    async with server:
        await server.serve_forever()


asyncio.run(main())
