#!/usr/bin/env python3
"""What a connection costs a listener with 10 filter chains and one with 10,000, each for a name (SNI), in dragoman and Envoy.

    cargo build --release
    benches/scale/chains.py                             # handshakes and accepts; takes some minutes
    benches/scale/chains.py --kind accepts --only dragoman --rounds 8

*Handshakes*: each chain has a TLS context and a connection manager of its own; a connection shakes hands in TLS 1.3 for a
name, and has one small response. *Accepts*: no chain speaks TLS itself; a connection sends a greeting that asks for such a
name, which the TLS inspector reads and the chain echoes. Both sizes of a peer run side by side on one core and take turns;
the clients have the other. Each of 300 names is asked for once before. *Ratio* is the median of the larger listener's CPU
time per connection over the smaller one's in the same round; the goal is 1. *Start* runs from the process's start to its
first answer; memory is read before the names are asked for.
"""
import argparse
import contextlib
import json
import multiprocessing
import os
import random
import socket
import ssl
import statistics
import struct
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../beside")

import handshakes  # noqa: E402
import peers  # noqa: E402
import process  # noqa: E402

PEM = f"{HERE}/../../testdata/tls"
FEW = 10
CLIENTS = 4
# The names that are asked for, of all that there are.
NAMES = 300
START_SECONDS = 120
SETTLE_SECONDS = 3
REQUEST, BODY = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"served"
RESET = struct.pack("ii", 1, 0)
COLUMNS = "| connections | peer | chains | CPU µs each | ratio | a second | start s | RSS MiB |"
FILTERS = "type.googleapis.com/envoy.extensions.filters"


def name_of(number):
    return f"host{number}.example.com"


def chain(number, kind):
    """The filter chain for a name."""
    made = {"filter_chain_match": {"server_names": [name_of(number)]}}
    if kind == "accepts":
        echo = {"@type": f"{FILTERS}.network.echo.v3.Echo"}
        return made | {"filters": [{"name": "envoy.filters.network.echo", "typed_config": echo}]}
    routes = [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": BODY.decode()}}}]
    manager = {"@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "web",
               "http_filters": [{"name": "router", "typed_config": {"@type": f"{FILTERS}.http.router.v3.Router"}}],
               "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}}
    certificate = {"certificate_chain": {"filename": f"{PEM}/server.pem"},
                   "private_key": {"filename": f"{PEM}/server.key"}}
    context = {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
               "common_tls_context": {"tls_certificates": [certificate]}}
    return made | {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context},
                   "filters": [{"name": "http", "typed_config": manager}]}


def bootstrap(port, count, kind):
    inspector = {"@type": f"{FILTERS}.listener.tls_inspector.v3.TlsInspector"}
    listener = {"name": "main", "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                "listener_filters": [{"name": "envoy.filters.listener.tls_inspector", "typed_config": inspector}],
                "filter_chains": [chain(number, kind) for number in range(count)]}
    return {"static_resources": {"listeners": [listener]}}


class Listener:
    """A peer whose listener has so many chains."""

    def __init__(self, name, count, kind, directory):
        self.count, self.kind, self.port = count, kind, process.free_port()
        path = f"{directory}/{name}-{count}.json"
        with open(path, "w") as file:
            json.dump(bootstrap(self.port, count, kind), file)
        argv = [peers.program(name), "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
        begun = time.monotonic()
        self.process = process.Process(argv, f"{directory}/{name}-{count}.log", process.PROXY_CORE, self.port)
        ask = ASKING[kind](range(1))
        if not ask(self.port):
            sys.exit(f"{name} does not answer")
        self.started = time.monotonic() - begun
        time.sleep(SETTLE_SECONDS)
        self.rss_mib = self.process.rss_mib()
        # What a chain does once, for its first connection, is not what connections cost.
        self.numbers = random.sample(range(count), min(count, NAMES))
        if not all(ASKING[kind]([number])(self.port) for number in self.numbers):
            sys.exit(f"{name} does not answer for each name")

    def measure(self, seconds):
        """CPU time per connection, in µs, and connections a second."""
        before = self.process.cpu_seconds()
        answered, failed = load(self.kind, self.port, self.numbers, seconds)
        used = self.process.cpu_seconds() - before
        if failed:
            sys.exit(f"{failed} of {answered + failed} connections failed")
        return used * 1e6 / max(answered, 1), answered / seconds


def handshaking(numbers):
    """Asks once over a connection of its own, for any of these names."""
    context = handshakes.context()

    def ask(port):
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as plain:
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with context.wrap_socket(plain, server_hostname=name_of(random.choice(numbers))) as connection:
                    connection.sendall(REQUEST)
                    received = b""
                    while not received.endswith(BODY) and (part := connection.recv(65536)):
                        received += part
                    return received.endswith(BODY) and not connection.session_reused
        except OSError:
            return False

    return ask


def greeting_for(number):
    """The first bytes of a client that asks for this name."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = handshakes.context().wrap_bio(incoming, outgoing, server_hostname=name_of(number))
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def greeting(numbers):
    """Sends one of these greetings over a connection of its own, and hears it again."""
    greetings = [greeting_for(number) for number in numbers]

    def ask(port):
        hello = random.choice(greetings)
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                connection.sendall(hello)
                return connection.recv(65536)[:5] == hello[:5]
        except OSError:
            return False

    return ask


ASKING = {"handshakes": handshaking, "accepts": greeting}


def client(kind, port, numbers, seconds, counts):
    ask = ASKING[kind](numbers)
    outcomes = [0, 0]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        outcomes[not ask(port)] += 1
    counts.put(outcomes)


def load(kind, port, numbers, seconds):
    """Connections that were answered, and that were not."""
    counts = multiprocessing.Queue()
    arguments = (kind, port, numbers, seconds, counts)
    clients = [multiprocessing.Process(target=client, args=arguments) for _ in range(CLIENTS)]
    for each in clients:
        each.start()
    outcomes = [counts.get() for _ in clients]
    for each in clients:
        each.join()
    return [sum(column) for column in zip(*outcomes)]


def compare(name, kind, options, directory):
    """The rows of a peer."""
    listeners = []
    try:
        for count in (FEW, options.count):
            listeners.append(Listener(name, count, kind, directory))
        rounds = [[each.measure(options.seconds) for each in listeners] for _ in range(options.rounds)]
    finally:
        for each in listeners:
            each.process.stop()
    ratio = statistics.median(many[0] / few[0] for few, many in rounds)
    for number, each in enumerate(listeners):
        cpu, rate = (statistics.median(part) for part in zip(*(one[number] for one in rounds)))
        print(f"| {kind} | {name} | {each.count} | {cpu:.1f} | {f'{ratio:.2f}' if number else ''} | {rate:.0f} "
              f"| {each.started:.2f} | {each.rss_mib:.1f} |", flush=True)
    grown = (listeners[1].rss_mib - listeners[0].rss_mib) * 1024 / (options.count - FEW)
    return f"{name}, {kind}: {grown:.1f} KiB a chain"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="chains of the larger listener")
    parser.add_argument("--kind", choices=ASKING)
    parser.add_argument("--only", choices=("dragoman", "envoy"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    return parser.parse_args()


def main():
    options = arguments()
    process.prefer()
    process.START_SECONDS = START_SECONDS
    os.sched_setaffinity(0, {process.OTHER_CORE})
    print(COLUMNS, "|---|---|" + "--:|" * 6, sep="\n")
    grown = []
    with tempfile.TemporaryDirectory() as directory:
        for kind in [options.kind] if options.kind else ASKING:
            for name in [options.only] if options.only else ("dragoman", "envoy"):
                try:
                    grown.append(compare(name, kind, options, directory))
                except peers.CannotRun as why:
                    print(f"{name}: {why}", file=sys.stderr)
    print("\n".join(grown))


if __name__ == "__main__":
    main()
