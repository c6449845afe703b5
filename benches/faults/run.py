#!/usr/bin/env python3
"""Of ten hosts three fail, in each way that hosts fail: how many requests do clients lose behind dragoman, and behind Envoy?

    cargo build --release
    benches/faults/run.py                            # one after the other, a minute each
    benches/faults/run.py --peer dragoman --rate 500

Both proxies have the same bootstrap: outlier detection after five errors in a row, two retries, a second for an attempt.
Seven hosts are well (nginx). Three change every quarter of the time: they refuse connections, stall (take a request and
never answer), reset it, and answer 503. Requests come at a fixed rate whether others are answered or not
(../beside/pace.py); any answer but 200, and none, is lost.
"""
import argparse
import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../beside")

import peers  # noqa: E402
from bootstrap import TYPE  # noqa: E402
from process import OTHER_CORE, PROXY_CORE, Process, free_port, on_core, prefer, require  # noqa: E402

HOSTS, FAULTY = 10, 3
FAULTS = ("refuse", "stall", "reset", "503")
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", default="dragoman,envoy", help="names, separated by commas")
    parser.add_argument("--rate", type=int, default=2000, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=512, help="of the clients; a stalled request holds one")
    return parser.parse_args()


class Well:
    """One nginx worker on as many addresses as there are hosts that are well."""

    def __init__(self, directory):
        self.port = free_port()
        self.hosts = [(f"127.0.0.{last}", self.port) for last in range(2, 2 + HOSTS - FAULTY)]
        listen = " ".join(f"listen {host}:{port} backlog=4096;" for host, port in self.hosts)
        with open(f"{directory}/well.conf", "w") as file:
            file.write(f"""daemon off; worker_processes 1; error_log stderr crit; pid {directory}/well.pid;
events {{ worker_connections 10000; }}
http {{ access_log off; keepalive_requests 1000000000;
  server {{ listen 127.0.0.1:{self.port}; {listen} location / {{ return 200 "ok\\n"; }} }} }}
""")
        argv = ["nginx", "-p", directory, "-c", f"{directory}/well.conf"]
        self.process = Process(argv, f"{directory}/well.log", OTHER_CORE, self.port)


class Host(asyncio.Protocol):
    """A connection to a faulty host."""

    def __init__(self, faulty):
        self.faulty = faulty

    def connection_made(self, transport):
        self.transport = transport
        self.faulty.connections.add(self)

    def connection_lost(self, _):
        self.faulty.connections.discard(self)

    def data_received(self, data):
        fault = self.faulty.fault
        for _ in range(data.count(b"\r\n\r\n")):
            if fault == "503":
                self.transport.write(UNAVAILABLE)
            elif fault is None:
                self.transport.write(ANSWER)
            elif fault != "stall":
                self.reset()

    def reset(self):
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Faulty(threading.Thread):
    """The hosts that fail, on ports of their own: well at first, then faulty in each way for a while."""

    def __init__(self, seconds):
        super().__init__(daemon=True)
        self.seconds, self.fault, self.connections = seconds, None, set()
        self.ports = [free_port() for _ in range(FAULTY)]
        self.listening, self.begun = threading.Event(), threading.Event()

    def run(self):
        os.sched_setaffinity(0, {OTHER_CORE})
        asyncio.run(self.serve())

    async def listen(self):
        loop = asyncio.get_running_loop()
        return [await loop.create_server(lambda: Host(self), "127.0.0.1", port, backlog=4096, reuse_address=True)
                for port in self.ports]

    async def serve(self):
        servers = await self.listen()
        self.listening.set()
        while not self.begun.is_set():
            await asyncio.sleep(0.01)
        for fault in FAULTS:
            self.fault = fault
            if fault == "refuse":
                for server in servers:
                    server.close()
                for host in list(self.connections):
                    host.reset()
            await asyncio.sleep(self.seconds / len(FAULTS))
            if fault == "refuse":
                servers = await self.listen()


def bootstrap(port, admin, hosts):
    def endpoint(host, port):
        return {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}

    manager = {
        "@type": TYPE + "filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "http",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{
            "match": {"prefix": "/"},
            "route": {"cluster": "app", "timeout": "5s", "retry_policy": {
                "retry_on": "5xx,reset,connect-failure", "num_retries": 2, "per_try_timeout": "1s",
                "retry_host_predicate": [{"name": "previous", "typed_config": {
                    "@type": TYPE + "retry.host.previous_hosts.v3.PreviousHostsPredicate"}}],
                "host_selection_retry_max_attempts": 5}}}]}]},
        "http_filters": [{"name": "envoy.filters.http.router",
                          "typed_config": {"@type": TYPE + "filters.http.router.v3.Router"}}],
    }
    return {
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
        "static_resources": {
            "listeners": [{"name": "main", "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                           "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager",
                                                           "typed_config": manager}]}]}],
            "clusters": [{
                "name": "app", "type": "STATIC", "connect_timeout": "1s",
                "circuit_breakers": {"thresholds": [{"max_retries": 100, "max_connections": 10000,
                                                     "max_pending_requests": 10000, "max_requests": 10000}]},
                "outlier_detection": {"consecutive_5xx": 5, "interval": "1s", "base_ejection_time": "3s",
                                      "max_ejection_percent": 50},
                "load_assignment": {"cluster_name": "app", "endpoints": [{
                    "lb_endpoints": [endpoint(*host) for host in hosts]}]},
            }],
        },
    }


def measure(name, options, well, directory):
    os.makedirs(directory)
    faulty = Faulty(options.seconds)
    faulty.start()
    faulty.listening.wait()
    port, admin = free_port(), free_port()
    path = f"{directory}/bootstrap.json"
    with open(path, "w") as file:
        json.dump(bootstrap(port, admin, well.hosts + [("127.0.0.1", port) for port in faulty.ports]), file)
    argv = [peers.program(name), "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "off"]
    proxy = Process(argv, f"{directory}/log", PROXY_CORE, port)
    try:
        load = subprocess.Popen([sys.executable, f"{HERE}/../beside/pace.py", str(port), "--rate", str(options.rate),
                                 "--seconds", str(options.seconds), "--connections", str(options.connections)],
                                stdout=subprocess.PIPE, preexec_fn=on_core(OTHER_CORE))
        faulty.begun.set()
        out, _ = load.communicate(timeout=options.seconds + 60)
        return json.loads(out)
    finally:
        proxy.stop()


def main():
    options = arguments()
    require("nginx")
    prefer()
    print(f"{FAULTY} of {HOSTS} hosts fail, {options.rate} requests/s for {options.seconds:g} s\n\n"
          "| peer | requests | lost | lost % | by status | p50 ms | p99 ms | p99.9 ms |\n|---|--:|--:|--:|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        well = Well(directory)
        try:
            for name in options.peer.split(","):
                result = measure(name, options, well, f"{directory}/{name}")
                share = 100 * result["errors"] / max(1, result["requests"] + result["lost"])
                times = " | ".join(f"{result[key] / 1e3:.1f}" for key in ("p50", "p99", "p999"))
                print(f"| {name} | {result['requests']} | {result['errors']} | {share:.4f} | {result['by_status']} "
                      f"| {times} |", flush=True)
        finally:
            well.process.stop()


if __name__ == "__main__":
    main()
