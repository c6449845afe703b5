#!/usr/bin/env python3
"""Memory for each static cluster with one host, in dragoman and in Envoy.

    cargo build --release
    benches/scale/memory.py

The same bootstrap without clusters and with many of them; what is told is the difference of resident memory, some
seconds after the proxy is ready, over their number.
"""
import argparse
import http.client
import json
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../beside")

import peers  # noqa: E402
from process import PROXY_CORE, Process, free_port  # noqa: E402

SETTLE_SECONDS = 8


def bootstrap(admin, count):
    def address(port):
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    def cluster(number):
        name = f"service-{number}.default.svc"
        endpoint = {"endpoint": {"address": address(10_000 + number % 40_000)}}
        return {"name": name, "type": "STATIC", "connect_timeout": "1s",
                "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}}

    return {"admin": {"address": address(admin)}, "static_resources": {"clusters": [cluster(n) for n in range(count)]}}


def resident_kib(name, count, directory):
    admin = free_port()
    path = f"{directory}/{name}-{count}.json"
    with open(path, "w") as file:
        json.dump(bootstrap(admin, count), file)
    argv = [peers.program(name), "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
    process = Process(argv, f"{directory}/{name}-{count}.log", PROXY_CORE, admin)
    try:
        while not ready(admin):
            time.sleep(0.05)
        time.sleep(SETTLE_SECONDS)
        return process.rss_mib() * 1024
    finally:
        process.stop()


def ready(admin):
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=60)
    connection.request("GET", "/ready")
    return connection.getresponse().status == 200


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", default="dragoman,envoy", help="names, separated by commas")
    parser.add_argument("--count", type=int, default=10_000)
    options = parser.parse_args()
    print("| peer | without MiB | with MiB | KiB a cluster | goal |\n|---|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as directory:
        for name in options.peer.split(","):
            without, with_clusters = (resident_kib(name, count, directory) for count in (0, options.count))
            goal = "12" if name == "dragoman" else ""
            print(f"| {name} | {without / 1024:.1f} | {with_clusters / 1024:.1f} "
                  f"| {(with_clusters - without) / options.count:.1f} | {goal} |", flush=True)


if __name__ == "__main__":
    main()
