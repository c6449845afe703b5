#!/usr/bin/env python3
"""Memory for each idle connection over TLS, in dragoman and in Envoy.

    cargo build --release
    benches/scale/idle.py                       # 10,000 connections; goal of dragoman: at most 14 KiB each
    benches/scale/idle.py --count 2000 --only dragoman

Each connection shakes hands in TLS 1.3, asks for one small response and is left open. What is told is the difference of
resident memory with all of them open and with few, which have brought the proxy to its working size, over their number. The
client gives its own side of each session away once it is idle, so that it need not hold 10,000 of them itself.
"""
import argparse
import json
import os
import resource
import socket
import ssl
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../beside")

import peers  # noqa: E402
from process import PROXY_CORE, Process, free_port  # noqa: E402

PEM = f"{HERE}/../../testdata/tls"
FEW = 200
SETTLE_SECONDS = 3
REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


def bootstrap(admin, port):
    def address(number):
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    kind = "type.googleapis.com/envoy.extensions.filters"
    routes = [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "ok"}}}]
    manager = {"@type": f"{kind}.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "web",
               "common_http_protocol_options": {"idle_timeout": "3600s"},
               "http_filters": [{"name": "router", "typed_config": {"@type": f"{kind}.http.router.v3.Router"}}],
               "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}}
    certificate = {"certificate_chain": {"filename": f"{PEM}/server.pem"},
                   "private_key": {"filename": f"{PEM}/server.key"}}
    context = {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
               "common_tls_context": {"tls_certificates": [certificate]}}
    chain = {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context},
             "filters": [{"name": "http", "typed_config": manager}]}
    return {"admin": {"address": address(admin)}, "static_resources": {
        "listeners": [{"name": "web", "address": address(port), "filter_chains": [chain]}]}}


def idle(port, context):
    """A connection that is idle; its descriptor."""
    secure = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10))
    secure.sendall(REQUEST)
    received = b""
    while not received.endswith(b"ok"):
        part = secure.recv(4096)
        if not part:
            sys.exit(f"the connection ended: {received!r}")
        received += part
    return secure.detach()


def per_connection(name, count, directory):
    admin, port = free_port(), free_port()
    path = f"{directory}/{name}.json"
    with open(path, "w") as file:
        json.dump(bootstrap(admin, port), file)
    argv = [peers.program(name), "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
    process = Process(argv, f"{directory}/{name}.log", PROXY_CORE, port)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    open_connections = []
    try:
        open_connections += [idle(port, context) for _ in range(FEW)]
        time.sleep(SETTLE_SECONDS)
        before = process.rss_mib() * 1024
        open_connections += [idle(port, context) for _ in range(count)]
        time.sleep(SETTLE_SECONDS)
        return (process.rss_mib() * 1024 - before) / count
    finally:
        for descriptor in open_connections:
            os.close(descriptor)
        process.stop()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=10_000)
    options.add_argument("--only", choices=("dragoman", "envoy"))
    options = options.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as directory:
        for name in [options.only] if options.only else ("dragoman", "envoy"):
            try:
                print(f"{name}: {per_connection(name, options.count, directory):.1f} KiB each", flush=True)
            except peers.CannotRun as why:
                print(f"{name}: {why}")


if __name__ == "__main__":
    main()
