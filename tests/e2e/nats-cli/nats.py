#!/usr/bin/env python3
"""Stands in for the `nats` command where it is not installed: the few commands our documents show, and no more.

usage: nats.py [-s URL] pub|req|sub|stream|consumer|kv|micro|object ...

Python 3.8 and nothing else. What it prints has the words of the real command, not its exact layout.
"""

import base64
import json
import os
import socket
import sys
import time
import urllib.parse

# Flag: the option it sets, and whether it takes a value.
FLAGS = {
    "-s": ("server", True), "--server": ("server", True), "--user": ("user", True), "--password": ("password", True),
    "-H": ("header", True), "--header": ("header", True), "--timeout": ("timeout", True), "--count": ("count", True),
    "-S": ("last_for", True), "--last-for": ("last_for", True), "--reply": ("reply", True),
    "--raw": ("raw", False), "-n": ("names", False), "--names": ("names", False), "-j": ("json", False), "--json": ("json", False),
}
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
ENDS_LIST = 0.5  # Services answer a discovery within milliseconds; nobody says who is the last.


class Failure(Exception):
    """Ends the command with a message."""


class Message:
    def __init__(self, subject, reply, head, body):
        lines = head.decode("utf-8", "replace").split("\r\n") if head else [""]
        self.subject, self.reply, self.body = subject, reply, body
        self.status = lines[0][len("NATS/1.0"):].strip()
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:] if ":" in line]

    def show(self, prefix=""):
        for name, value in self.headers:
            print(f"{prefix}{name}: {value}")
        if self.headers:
            print()
        print(self.body.decode("utf-8", "replace"))


class Connection:
    """One connection to one server, as much of the protocol as a command line needs."""

    def __init__(self, url, options):
        parts = urllib.parse.urlparse(url if "://" in url else f"nats://{url}")
        if parts.scheme not in ("nats", ""):
            raise Failure(f"this stand-in speaks nats:// only, not {parts.scheme}://; install the real nats command")
        address = (parts.hostname or "127.0.0.1", parts.port or 4222)
        try:
            self.socket = socket.create_connection(address, timeout=options.timeout)
        except OSError as error:
            raise Failure(f"could not connect to {address[0]}:{address[1]}: {error}") from error
        self.timeout, self.file, self.sids = options.timeout, self.socket.makefile("rb"), 0
        self.line()  # INFO
        user = options.user or urllib.parse.unquote(parts.username or "")
        password = options.password or urllib.parse.unquote(parts.password or "")
        hello = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "protocol": 1,
                 "name": "nats-cli", "lang": "python", "version": "1"}
        if user and password:
            hello.update(user=user, **{"pass": password})
        elif user:
            hello.update(auth_token=user)
        self.send(b"CONNECT " + json.dumps(hello).encode() + b"\r\n")
        self.flush()

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        text = self.file.readline()
        if not text:
            raise Failure("the server closed the connection")
        return text.rstrip(b"\r\n")

    def flush(self):
        """Returns once the server has handled all that was sent."""
        self.send(b"PING\r\n")
        while True:
            line = self.line()
            if line == b"PONG":
                return
            self.control(line)

    def control(self, line):
        if line == b"PING":
            self.send(b"PONG\r\n")
        elif line.startswith(b"-ERR"):
            raise Failure(line.decode("utf-8", "replace"))

    def subscribe(self, subject):
        self.sids += 1
        self.send(f"SUB {subject} {self.sids}\r\n".encode())
        self.flush()

    def publish(self, subject, body, headers=(), reply=""):
        head = ""
        if headers:
            head = "NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n"
        sizes = f"{len(head.encode())} {len(head.encode()) + len(body)}" if head else str(len(body))
        verb = "HPUB" if head else "PUB"
        self.send(" ".join(part for part in (verb, subject, reply, sizes) if part).encode() + b"\r\n" + head.encode() + body + b"\r\n")

    def next(self, wait):
        """The next message, or None when none came in time; a wait of None is for ever."""
        end = None if wait is None else time.monotonic() + wait
        while True:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                line = self.line()
            except (socket.timeout, OSError):
                return None
            finally:
                self.socket.settimeout(self.timeout)
            if not line.startswith((b"MSG ", b"HMSG ")):
                self.control(line)
                continue
            words = line.decode().split()
            has_head = words[0] == "HMSG"
            total, head = int(words[-1]), int(words[-2]) if has_head else 0
            reply = words[3] if len(words) > (5 if has_head else 4) else ""
            data = self.file.read(total + 2)[:total]
            return Message(words[1], reply, data[:head], data[head:])

    def ask(self, subject, body=b"", headers=(), wait=None):
        """Every answer to a request: the first one, or all within `wait`."""
        inbox = f"_INBOX.{os.urandom(11).hex()}"
        self.subscribe(inbox)
        self.publish(subject, body, headers, inbox)
        first = self.next(wait or self.timeout)
        if first is not None and first.status.startswith("503"):
            raise Failure("no responders are available")
        if first is None and wait is None:
            raise Failure("timeout: no answer")
        answers = [first] if first else []
        while wait is not None and answers and answers[-1] is not None:
            answers.append(self.next(wait))
        return [answer for answer in answers if answer]

    def api(self, what, request=None):
        body = json.dumps(request).encode() if request is not None else b""
        answer = json.loads(self.ask(f"$JS.API.{what}", body)[0].body)
        if "error" in answer:
            raise Failure(f"{answer['error'].get('description')} ({answer['error'].get('err_code')})")
        return answer

    def paged(self, what, key, request=None):
        found = []
        while True:
            answer = self.api(what, {**(request or {}), "offset": len(found)})
            found += answer.get(key) or []
            if len(found) >= answer.get("total", 0) or not answer.get(key):
                return found


class Options:
    def __init__(self):
        env = os.environ
        self.server, self.user, self.password = env.get("NATS_URL") or "nats://127.0.0.1:4222", env.get("NATS_USER", ""), env.get("NATS_PASSWORD", "")
        self.header, self.timeout, self.count, self.last_for, self.reply = [], 5.0, 0, "", ""
        self.raw = self.names = self.json = False

    def take(self, flag, value):
        name, _ = FLAGS[flag]
        if name == "header":
            if ":" not in value:
                raise Failure(f"invalid header {value!r}: write NAME:VALUE")
            self.header.append(tuple(part.strip() for part in value.split(":", 1)))
        elif name == "timeout":
            unit = value.lstrip("0123456789.")
            self.timeout = float(value[: len(value) - len(unit)]) * UNITS[unit]
        elif name == "count":
            self.count = int(value)
        else:
            setattr(self, name, value)


def parse(arguments):
    options, words, rest = Options(), [], iter(arguments)
    for word in rest:
        flag, equals, value = word.partition("=")
        if flag not in FLAGS or not word.startswith("-"):
            if word.startswith("-") and len(word) > 1:
                raise Failure(f"unknown flag {word!r}: this stand-in knows {' '.join(sorted(FLAGS))}")
            words.append(word)
        elif FLAGS[flag][1]:
            options.take(flag, value if equals else next(rest, ""))
        else:
            setattr(options, FLAGS[flag][0], True)
    return options, words


def table(title, columns, rows):
    if title:
        print(title)
    texts = [[str(cell) for cell in row] for row in [columns, *rows]]
    widths = [max(len(row[i]) for row in texts) for i in range(len(columns))]
    for row in texts:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def record(title, fields):
    print(title)
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        print(f"{name:>{width + 2}}: {value}")


def command_pub(nats, options, subject, body=""):
    nats.publish(subject, body.encode(), options.header, options.reply)
    nats.flush()
    print(f'Published {len(body.encode())} bytes to "{subject}"')


def command_req(nats, options, subject, body=""):
    if not options.raw:
        print(f'Sending request on "{subject}"')
    began = time.monotonic()
    answer = nats.ask(subject, body.encode(), options.header)[0]
    if options.raw:
        print(answer.body.decode("utf-8", "replace"))
        return
    print(f"Received with rtt {(time.monotonic() - began) * 1000:.3f}ms")
    answer.show()


def command_sub(nats, options, subject):
    nats.subscribe(subject)
    print(f"Subscribing on {subject}", flush=True)
    seen = 0
    while not options.count or seen < options.count:
        message = nats.next(None)
        if message is None:
            raise Failure("the connection was lost")
        seen += 1
        print(f'[#{seen}] Received on "{message.subject}"')
        message.show()
        sys.stdout.flush()


def command_stream(nats, options, verb, *words):
    if verb == "ls":
        streams = nats.paged("STREAM.LIST", "streams")
        # Buckets and object stores have commands of their own.
        streams = [one for one in streams if not one["config"]["name"].startswith(("KV_", "OBJ_"))]
        rows = [(one["config"]["name"], one["state"]["messages"], one["state"]["bytes"]) for one in streams]
        table("Streams", ("Name", "Messages", "Size"), sorted(rows))
    elif verb == "info":
        info = nats.api(f"STREAM.INFO.{words[0]}")
        config, state = info["config"], info["state"]
        record(f"Information for Stream {config['name']}", [
            ("Subjects", ", ".join(config.get("subjects", []))), ("Storage", config["storage"]), ("Replicas", config["num_replicas"]),
            ("Discard Policy", config["discard"]), ("Maximum Bytes", config["max_bytes"]), ("Metadata", config.get("metadata", {})),
            ("Messages", state["messages"]), ("Bytes", state["bytes"]), ("First Sequence", state["first_seq"]),
            ("Last Sequence", state["last_seq"]), ("Active Consumers", state["consumer_count"])])
    elif verb == "get":
        wanted = {"last_by_subj": options.last_for} if options.last_for else {"seq": int(words[1])}
        found = nats.api(f"STREAM.MSG.GET.{words[0]}", wanted)["message"]
        head, body = (base64.b64decode(found.get(key, "")) for key in ("hdrs", "data"))
        message = Message(found["subject"], "", head, body)
        print(f"Item: {words[0]}#{found['seq']} received {found['time']} on Subject {message.subject}\n")
        if message.headers:
            print("Headers:")
        message.show("  ")
    elif verb == "subjects":
        request = {"subjects_filter": words[1] if len(words) > 1 else ">"}
        subjects = nats.api(f"STREAM.INFO.{words[0]}", request)["state"].get("subjects") or {}
        table(f"{len(subjects)} Subjects in stream {words[0]}", ("Subject", "Count"), sorted(subjects.items()))
    else:
        raise Failure(f"no command stream {verb}")


def command_consumer(nats, options, verb, stream, name=""):
    if verb == "ls":
        consumers = nats.paged(f"CONSUMER.LIST.{stream}", "consumers")
        rows = [(one["name"], one["num_ack_pending"], one["num_pending"]) for one in consumers]
        table("Consumers", ("Name", "Ack Pending", "Unprocessed"), sorted(rows))
    elif verb == "info":
        info = nats.api(f"CONSUMER.INFO.{stream}.{name}")
        config = info["config"]
        record(f"Information for Consumer {stream} > {name}", [
            ("Filter Subject", config.get("filter_subject", "")), ("Ack Wait", f"{config['ack_wait'] / 1e9:g}s"),
            ("Max Ack Pending", config["max_ack_pending"]), ("Max Waiting Pulls", config["max_waiting"]),
            ("Metadata", config.get("metadata", {})), ("Paused", info.get("paused", False)),
            ("Acknowledgment Floor", f"Stream sequence: {info['ack_floor']['stream_seq']}"),
            ("Outstanding Acks", info["num_ack_pending"]), ("Redelivered Messages", info["num_redelivered"]),
            ("Unprocessed Messages", info["num_pending"]), ("Waiting Pulls", info["num_waiting"])])
    else:
        raise Failure(f"no command consumer {verb}")


def command_kv(nats, options, verb, bucket="", key=""):
    if verb == "ls" and not bucket:
        names = [name[3:] for name in nats.paged("STREAM.NAMES", "streams") if name.startswith("KV_")]
        table("Key-Value Buckets", ("Bucket",), [(name,) for name in sorted(names)])
    elif verb == "ls":
        prefix = f"$KV.{bucket}."
        subjects = nats.api(f"STREAM.INFO.KV_{bucket}", {"subjects_filter": ">"})["state"].get("subjects") or {}
        for subject in sorted(subjects):
            found = nats.api(f"STREAM.MSG.GET.KV_{bucket}", {"last_by_subj": subject})["message"]
            # What is deleted or has run out leaves a mark.
            marks = Message(subject, "", base64.b64decode(found.get("hdrs", "")), b"").headers
            if not any(name in ("KV-Operation", "Nats-Marker-Reason") for name, _ in marks):
                print(subject[len(prefix):])
    elif verb == "get":
        found = nats.api(f"STREAM.MSG.GET.KV_{bucket}", {"last_by_subj": f"$KV.{bucket}.{key}"})["message"]
        if not options.raw:
            print(f"{bucket} > {key} revision: {found['seq']} created @ {found['time']}\n")
        print(base64.b64decode(found.get("data", "")).decode("utf-8", "replace"))
    else:
        raise Failure(f"no command kv {verb}")


def command_micro(nats, options, verb, name=""):
    if verb not in ("ls", "list", "info"):
        raise Failure(f"no command micro {verb}")
    found = [json.loads(answer.body) for answer in nats.ask("$SRV.INFO" + (f".{name}" if name else ""), wait=ENDS_LIST)]
    if verb == "info":
        for one in found:
            print(json.dumps(one, indent=2))
        return
    rows = sorted((one["name"], one["version"], one["id"], one.get("description", "")) for one in found)
    table("All Micro Services", ("Name", "Version", "ID", "Description"), rows)


def command_object(nats, options, verb, bucket=""):
    if verb != "ls":
        raise Failure(f"no command object {verb}")
    if not bucket:
        names = [name[4:] for name in nats.paged("STREAM.NAMES", "streams") if name.startswith("OBJ_")]
        table("Object Store Buckets", ("Bucket",), [(name,) for name in sorted(names)])
        return
    subjects = nats.api(f"STREAM.INFO.OBJ_{bucket}", {"subjects_filter": f"$O.{bucket}.M.>"})["state"].get("subjects") or {}
    rows = []
    for subject in subjects:
        found = nats.api(f"STREAM.MSG.GET.OBJ_{bucket}", {"last_by_subj": subject})["message"]
        meta = json.loads(base64.b64decode(found.get("data", "")) or b"{}")
        if meta and not meta.get("deleted"):
            rows.append((meta["name"], meta["size"], found["time"]))
    table(f"Objects in {bucket}", ("Name", "Size", "Time"), sorted(rows))


COMMANDS = {
    "pub": command_pub, "publish": command_pub, "req": command_req, "request": command_req, "sub": command_sub,
    "stream": command_stream, "str": command_stream, "s": command_stream, "consumer": command_consumer, "con": command_consumer,
    "kv": command_kv, "micro": command_micro, "service": command_micro, "object": command_object, "obj": command_object,
}


def main(arguments):
    if arguments == ["--version"]:
        print("stand-in")
        return 0
    try:
        options, words = parse(arguments)
        if not words or words[0] not in COMMANDS:
            raise Failure(f"this stand-in knows {' '.join(COMMANDS)}")
        try:
            COMMANDS[words[0]](Connection(options.server, options), options, *words[1:])
        except TypeError as error:
            # Too few or too many words for the command's function.
            raise Failure(f"{' '.join(words[:2])}: {error}") from error
        except (socket.timeout, IndexError, KeyError) as error:
            raise Failure(f"{' '.join(words[:2])}: {error!r}") from error
    except Failure as failure:
        print(f"nats: error: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
