#!/usr/bin/env python3
"""Sends GET requests over HTTP/1.1 at a fixed rate, whether the answers come or not, and says how long they took.

A request's time runs from the moment at which it was due, not from that at which it could be sent: a server that
stops for a while makes every request late that fell due meanwhile, and all of them count (wrk and its like leave
them out). Prints one line of JSON. Uses nothing but the standard library.
"""
import argparse
import gc
import json
import random
import select
import socket
import sys
import time
from collections import deque

DRAIN = 10  # seconds that the last answers may take


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--path", default="/", help="{} in it stands for a random number below --spread")
    parser.add_argument("--spread", type=int, default=1)
    parser.add_argument("--rate", type=float, default=1000, help="requests a second")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--until-eof", action="store_true", help="instead: until the standard input ends")
    parser.add_argument("--connections", type=int, default=32)
    return parser.parse_args()


class Connection:
    """A kept-alive connection with at most one request on it."""

    def __init__(self, port):
        self.port, self.due, self.requests = port, None, 0
        self.open()

    def open(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received, self.length = b"", None

    def fileno(self):
        return self.socket.fileno()

    def ask(self, path, due):
        self.due = due
        self.socket.send(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)

    def read(self):
        """The status once an answer is complete, 0 when the connection broke instead, else `None`."""
        try:
            piece = self.socket.recv(1 << 18)
        except OSError:
            piece = b""
        if not piece:
            return self.reopen()
        self.received += piece
        if self.length is None:
            head, end, _ = self.received.partition(b"\r\n\r\n")
            if not end:
                return None
            self.length = len(head) + 4 + content_length(head)
        if len(self.received) < self.length:
            return None
        status, closes = int(self.received[9:12]), b"\r\nconnection: close" in self.received.lower()
        self.received, self.length = b"", None
        if closes:
            self.reopen()
        return status

    def reopen(self):
        self.socket.close()
        self.open()
        return 0


def content_length(head):
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise RuntimeError(f"no length: {head!r}")


class Pace:
    """The requests: due, under way and answered."""

    def __init__(self, options):
        self.options = options
        self.idle = deque(Connection(options.port) for _ in range(options.connections))
        self.busy, self.waiting, self.took, self.errors = [], deque(), [], {}
        self.ended = not options.until_eof

    def send(self):
        while self.waiting and self.idle:
            connection, due = self.idle.popleft(), self.waiting.popleft()
            path = self.options.path.format(f"{random.randrange(self.options.spread):06d}").encode()
            try:
                connection.ask(path, due)
                self.busy.append(connection)
            except OSError:
                self.answered(connection, connection.reopen())

    def receive(self, timeout):
        control = [] if self.ended else [sys.stdin]
        for connection in select.select(self.busy + list(self.idle) + control, [], [], max(0, timeout))[0]:
            if connection is sys.stdin:
                self.ended = True
                continue
            waited = connection.due is not None
            status = connection.read()
            if waited and status is not None:
                self.busy.remove(connection)
                self.answered(connection, status)

    def answered(self, connection, status):
        self.took.append(time.perf_counter() - connection.due)
        if status != 200:
            self.errors[status] = self.errors.get(status, 0) + 1
        connection.due = None
        self.idle.append(connection)

    def goes_on(self, now, begun):
        return not self.ended if self.options.until_eof else now < begun + self.options.seconds

    def run(self):
        begun = due = time.perf_counter()
        while self.goes_on(now := time.perf_counter(), begun):
            while due <= now:
                self.waiting.append(due)
                due += 1 / self.options.rate
            self.send()
            self.receive(due - time.perf_counter())
        end = time.perf_counter() + DRAIN
        while (self.waiting or self.busy) and time.perf_counter() < end:
            self.send()
            self.receive(0.1)
        lost = len(self.waiting) + len(self.busy)
        return {"requests": len(self.took), "seconds": time.perf_counter() - begun, "lost": lost,
                "errors": sum(self.errors.values()) + lost, "by_status": self.errors, **self.percentiles()}

    def percentiles(self):
        took = sorted(self.took)
        at = lambda share: took[min(len(took) - 1, int(share * len(took)))] * 1e6 if took else 0
        return {"p50": at(0.50), "p99": at(0.99), "p999": at(0.999), "max": at(1)}


def main():
    gc.disable()  # a collection would count as the server's delay
    print(json.dumps(Pace(arguments()).run()))


if __name__ == "__main__":
    main()
