"""An HTTP origin that does what origins do at their worst, for the tests of `argosy fetch`. What a path does:

/file/NAME     well behaved: ranges, strong ETag, If-None-Match, If-Match
/plain/NAME    ignores Range, no validators          /weak/NAME     ranges, but no validator at all
/reset/NAME    resets the connection half way, the first time that a range is asked for
/short/NAME    closes early, always                  /shortonce/NAME  the first time
/long/NAME     sends more than its Content-Range says    /lie/NAME  a Content-Range of another place
/flip/NAME     a new ETag for each answer            /change/NAME   another object after the third answer
/weakchange/NAME  the same, with a weak ETag and one Last-Modified    /same/NAME  the same ETag for every object
/ignoring/NAME whole, with an ETag, whatever was asked
/busy/NAME     429 with Retry-After, twice           /always429/NAME  429 without an end
/down/NAME     503, twice                            /limit/NAME    RateLimit with nothing remaining, on the first answer
/drip/NAME     one range comes slowly, a byte at a time       /stall/NAME  half a body, and then nothing
/driphead/NAME a head that comes so                           /dripfirst/NAME  the first answer comes so
/gzip/NAME     a Content-Encoding that nobody asked for       /headers/NAME  a head without an end
/loop          redirects to itself                   /to/URL        redirects there
/pingpong/NAME redirects to the origin `partner`, which redirects back
/expires/NAME  403 to the fourth and fifth request   /slow/NAME     the head comes a tenth of a second late
/name/TEXT     with Content-Disposition: TEXT, percent-decoded
/digest/NAME   with a right Repr-Digest              /baddigest/NAME  with a wrong one
/chunked/NAME  no length is told                     /status/N      that status
/chunkedbad/NAME  the same with a wrong Content-Digest       /nothing/NAME   204
/slowhead/NAME the head comes a second late          /secret/NAME   401 without the right Authorization
/ifrange/NAME  looks at If-Range, and not at If-Match         /dated/NAME     a Last-Modified of its own, and no ETag
/unconditional/NAME  looks at neither

With `stall_after` all bodies together stop behind so many bytes, until their clients go.

Everything is counted: requests by path, open connections, body bytes, and what Authorization came."""

import base64
import hashlib
import re
import socket
import socketserver
import struct
import threading
import time
import urllib.parse

HTTP_DATE = "Thu, 01 Jan 2026 00:00:00 GMT"


class Reset(Exception):
    """The connection is to be reset."""


class Origin:
    """`files` maps names to bytes. A server on a port of its own, from entering to leaving the context."""

    def __init__(self, files, tls=None, address="127.0.0.1"):
        self.files = files
        self.lock = threading.Lock()
        self.requests, self.heads = [], []
        self.seen = {}
        self.open = self.most_open = self.active = self.most_active = 0
        self.body_bytes = 0
        self.authorizations = []
        self.retry_after = 1
        self.stall_after = None
        self.dates = {}  # of /dated/, where not HTTP_DATE
        origin = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with origin.lock:
                    origin.open += 1
                    origin.most_open = max(origin.most_open, origin.open)
                try:
                    Conversation(origin, self.request).run()
                except (OSError, ValueError):
                    pass
                finally:
                    with origin.lock:
                        origin.open -= 1

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True
            request_queue_size = 128

            def get_request(self):
                connection, place = super().get_request()
                connection.settimeout(20)
                return (tls.wrap_socket(connection, server_side=True) if tls else connection), place

            def handle_error(self, request, client_address):
                pass

        self.server = Server((address, 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://{'localhost' if tls else address}:{self.port}"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def count(self, key):
        """How often this has been asked for, this time included."""
        with self.lock:
            self.seen[key] = self.seen.get(key, 0) + 1
            return self.seen[key]


class Conversation:
    def __init__(self, origin, connection):
        self.origin, self.connection = origin, connection
        self.input = connection.makefile("rb")

    def run(self):
        while True:
            line = self.input.readline(65536)
            if not line.strip():
                return
            method, target, _ = line.decode("latin-1").split(" ", 2)
            fields = {}
            while (line := self.input.readline(65536)) not in (b"\r\n", b"\n", b""):
                name, _, value = line.decode("latin-1").partition(":")
                fields[name.strip().lower()] = value.strip()
            origin = self.origin
            with origin.lock:
                origin.requests.append(target)
                origin.heads.append(fields)
                origin.active += 1
                origin.most_active = max(origin.most_active, origin.active)
                if "authorization" in fields:
                    origin.authorizations.append(fields["authorization"])
            try:
                kind, _, rest = target.lstrip("/").partition("/")
                go_on = getattr(self, "do_" + kind)(rest, fields)
            except Reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return
            finally:
                with origin.lock:
                    origin.active -= 1
            if go_on is False or fields.get("connection", "").lower() == "close":
                self.connection.shutdown(socket.SHUT_WR)
                return

    # --- the means

    def head(self, status, fields=()):
        text = f"HTTP/1.1 {status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n"
        self.connection.sendall(text.encode("latin-1"))

    def body(self, data):
        origin = self.origin
        with origin.lock:
            limit = origin.stall_after
            room = len(data) if limit is None else max(0, min(len(data), limit - origin.body_bytes))
            origin.body_bytes += room
        self.connection.sendall(data[:room])
        if room < len(data):
            self.connection.recv(1)
            raise Reset

    def whole(self, data, fields=(), status=200):
        self.head(status, [("Content-Length", len(data)), *fields])
        self.body(data)

    def data(self, name):
        return self.origin.files[name.partition("?")[0]]

    def etag(self, data):
        return '"' + hashlib.md5(data).hexdigest() + '"'

    def range_of(self, fields, size):
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", fields.get("range", ""))
        if not match:
            return None
        first = int(match[1])
        return first, min(int(match[2] or size - 1), size - 1)

    def ranged(self, data, fields, etag=None, extra=(), validators=True, cut=None, date=HTTP_DATE):
        """As a good origin; `cut(part)` may change the body. Where `etag` is False there is none."""
        if etag is False:
            fields = {name: value for name, value in fields.items() if name not in ("if-match", "if-none-match")}
            if "range" in fields and fields.get("if-range", date) != date:
                del fields["range"]
            return self.ranged(data, fields, validators=False, extra=[("Last-Modified", date), *extra], cut=cut)
        etag = etag or self.etag(data)
        more = [("ETag", etag), ("Last-Modified", HTTP_DATE), ("Accept-Ranges", "bytes")] if validators else []
        more += list(extra)
        if validators and fields.get("if-none-match") == etag:
            return self.head(304, [("ETag", etag)])
        if validators and fields.get("if-match", etag) != etag:
            return self.whole(b"changed", status=412)
        if validators and fields.get("if-range", etag) not in (etag, HTTP_DATE):
            return self.whole(data, more)
        place = self.range_of(fields, len(data))
        if place is None:
            return self.whole(data, more)
        first, last = place
        if first > last:
            return self.whole(b"", [("Content-Range", f"bytes */{len(data)}")], 416)
        part = data[first : last + 1]
        self.head(206, [("Content-Length", len(part)), ("Content-Range", f"bytes {first}-{last}/{len(data)}"), *more])
        return (cut or self.body)(part)

    # --- the behaviours

    def do_late(self, name, _fields):
        """A whole body, and more behind it: it lies before what would answer the connection's next request."""
        self.whole(self.data(name))
        self.input.readline(65536)
        self.body(b"more")
        return False

    def do_file(self, name, fields):
        self.ranged(self.data(name), fields)

    def do_ifrange(self, name, fields):
        self.ranged(self.data(name), {name: value for name, value in fields.items() if name != "if-match"})

    def do_dated(self, name, fields):
        self.ranged(self.data(name), fields, etag=False, date=self.origin.dates.get(name, HTTP_DATE))

    def do_unconditional(self, name, fields):
        self.ranged(self.data(name), {name: value for name, value in fields.items() if not name.startswith("if-")})

    def do_plain(self, name, _fields):
        self.whole(self.data(name))

    def do_weak(self, name, fields):
        self.ranged(self.data(name), fields, validators=False)

    def half_and_reset(self, part):
        self.body(part[: len(part) // 2])
        raise Reset

    def half_and_close(self, part):
        self.body(part[: len(part) // 2])
        return False

    def do_reset(self, name, fields):
        first_time = self.origin.count((name, fields.get("range"))) == 1
        self.ranged(self.data(name), fields, cut=self.half_and_reset if first_time else None)

    def do_short(self, name, fields):
        return self.ranged(self.data(name), fields, cut=self.half_and_close)

    def do_shortonce(self, name, fields):
        first_time = self.origin.count(name) == 1
        return self.ranged(self.data(name), fields, cut=self.half_and_close if first_time else None)

    def do_long(self, name, fields):
        data = self.data(name)
        place = self.range_of(fields, len(data)) or (0, len(data) - 1)
        part = data[place[0] : place[1] + 1] + b"more than was said"
        self.head(206, [("Content-Length", len(part)), ("ETag", self.etag(data)),
                        ("Content-Range", f"bytes {place[0]}-{place[1]}/{len(data)}")])
        self.body(part)
        return False

    def do_lie(self, name, fields):
        data = self.data(name)
        place = self.range_of(fields, len(data))
        if place is None:
            return self.whole(data, [("ETag", self.etag(data))])
        part = data[place[0] : place[1] + 1]
        self.head(206, [("Content-Length", len(part)), ("ETag", self.etag(data)),
                        ("Content-Range", f"bytes {place[0] + 7}-{place[1] + 7}/{len(data) + 7}")])
        self.body(part)

    def do_flip(self, name, fields):
        self.ranged(self.data(name), fields, etag=f'"{self.origin.count(name)}"')

    def do_change(self, name, fields):
        data = self.data(name)
        if self.origin.count(name) > 3:
            data = bytes(reversed(data))
        self.ranged(data, fields)

    def do_weakchange(self, name, fields):
        data = self.data(name)
        count = self.origin.count(name)
        if count > 3:
            data = bytes(reversed(data))
        self.ranged(data, fields, etag=f'W/"{int(count > 3)}"')

    def do_same(self, name, fields):
        self.ranged(self.data(name), fields, etag='"same"')

    def do_ignoring(self, name, _fields):
        data = self.data(name)
        self.whole(data, [("ETag", self.etag(data)), ("Last-Modified", HTTP_DATE)])

    def do_nothing(self, _name, _fields):
        self.head(204, [("X-Why", "nothing")])

    def do_busy(self, name, fields):
        if self.origin.count("busy") <= 2:
            return self.whole(b"later", [("Retry-After", self.origin.retry_after)], 429)
        self.ranged(self.data(name), fields)

    def do_always429(self, _name, _fields):
        self.whole(b"never", [("Retry-After", "0")], 429)

    def do_down(self, name, fields):
        if self.origin.count("down") <= 2:
            return self.whole(b"down", status=503)
        self.ranged(self.data(name), fields)

    def do_limit(self, name, fields):
        extra = [("RateLimit", '"default";r=0;t=1')] if self.origin.count("limit") == 1 else []
        self.ranged(self.data(name), fields, extra=extra)

    def drip(self, part):
        # Long enough that a client which waits for it does not come to its end within a test.
        for at in range(len(part)):
            self.body(part[at : at + 1])
            time.sleep(0.02)

    def do_drip(self, name, fields):
        place = self.range_of(fields, 1 << 40)
        slow = place is not None and place[0] > 0 and self.origin.count("drip") == 1
        self.ranged(self.data(name), fields, cut=self.drip if slow else None)

    def do_dripfirst(self, name, fields):
        first_time = self.origin.count("dripfirst") == 1
        self.ranged(self.data(name), fields, cut=self.drip if first_time else None)

    def do_driphead(self, _name, _fields):
        self.connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            self.connection.sendall(b"X-A: b\r\n")
            time.sleep(0.1)

    def do_stall(self, name, fields):
        if self.origin.count("stall") > 1:
            return self.ranged(self.data(name), fields)

        def half(part):
            self.body(part[: len(part) // 2])
            self.connection.recv(1)  # until the client goes
            return False

        return self.ranged(self.data(name), fields, cut=half)

    def do_gzip(self, name, _fields):
        self.whole(self.data(name), [("Content-Encoding", "gzip"), ("ETag", '"z"')])

    def do_headers(self, _name, _fields):
        self.connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            self.connection.sendall(b"X-Much: " + b"m" * 4000 + b"\r\n")

    def do_loop(self, _name, _fields):
        self.whole(b"", [("Location", "/loop")], 302)

    def do_to(self, target, _fields):
        self.whole(b"elsewhere", [("Location", urllib.parse.unquote(target))], 302)

    def do_pingpong(self, name, _fields):
        self.whole(b"", [("Location", f"{self.origin.partner.url}/pingpong/{name}")], 302)

    def do_expires(self, name, fields):
        if self.origin.count("expires") in (4, 5):
            return self.whole(b"expired", status=403)
        self.ranged(self.data(name), fields)

    def do_slow(self, name, fields):
        time.sleep(0.1)
        self.ranged(self.data(name), fields)

    def do_name(self, text, fields):
        disposition, _, name = text.rpartition("/")
        self.ranged(self.data(name), fields, extra=[("Content-Disposition", urllib.parse.unquote(disposition))])

    def digest(self, data):
        return "sha-256=:" + base64.b64encode(hashlib.sha256(data).digest()).decode() + ":"

    def do_digest(self, name, fields):
        data = self.data(name)
        strong = base64.b64encode(hashlib.sha512(data).digest()).decode()
        self.ranged(data, fields, extra=[("Repr-Digest", f"{self.digest(data)}, sha-512=:{strong}:")])

    def do_baddigest(self, name, fields):
        self.ranged(self.data(name), fields, extra=[("Repr-Digest", self.digest(b"something else"))])

    def do_badcontent(self, name, fields):
        self.ranged(self.data(name), fields, extra=[("Content-Digest", self.digest(b"something else"))])

    def do_chunked(self, name, _fields):
        data = self.data(name)
        self.head(200, [("Transfer-Encoding", "chunked")])
        for at in range(0, len(data), 100_000):
            part = data[at : at + 100_000]
            self.body(b"%x\r\n" % len(part) + part + b"\r\n")
        self.body(b"0\r\n\r\n")

    def do_chunkedbad(self, name, _fields):
        data = self.data(name)
        self.head(200, [("Transfer-Encoding", "chunked"), ("Content-Digest", self.digest(b"something else"))])
        self.body(b"%x\r\n" % len(data) + data + b"\r\n0\r\n\r\n")

    def do_chunkedshort(self, name, _fields):
        data = self.data(name)
        self.head(200, [("Transfer-Encoding", "chunked")])
        self.body(b"%x\r\n" % len(data) + data[: len(data) // 2])
        return False

    def do_status(self, number, _fields):
        self.whole(b"as you like", status=int(number))

    def do_slowhead(self, name, fields):
        time.sleep(1)
        self.ranged(self.data(name), fields)

    def do_secret(self, name, fields):
        if fields.get("authorization") not in ("Bearer sesame", "Basic " + base64.b64encode(b"ali:baba").decode()):
            return self.whole(b"no", status=401)
        self.ranged(self.data(name), fields)
