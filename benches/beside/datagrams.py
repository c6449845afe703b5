#!/usr/bin/env python3
"""CPU time for each datagram that the UDP proxy passes on and the answer to it, in dragoman and in Envoy.

    cargo build --release
    benches/beside/datagrams.py                    # 64 clients, 20,000 datagrams of 100 bytes, five rounds of each
    benches/beside/datagrams.py --size 1200 --clients 1 --window 32

Each client has a socket of its own, and so a session, and has so many datagrams on their way at a time; a host sends back what
it is sent. User and system time of the proxy is told by /proc, over the datagrams that came back. What is lost is told, too: a
client sends on when nothing came back for a while. All traffic stays on 127.0.0.1.
"""
import argparse
import json
import os
import select
import shutil
import socket
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from process import OTHER_CORE, PROXY_CORE, Process, free_port, prefer  # noqa: E402

LOST_SECONDS = 0.2


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dragoman", default=f"{HERE}/../../target/release/dragoman")
    parser.add_argument("--envoy", default=os.environ.get("ENVOY_BIN") or shutil.which("envoy"))
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--window", type=int, default=1, help="datagrams of a client on their way at a time")
    parser.add_argument("--datagrams", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def address(port, protocol="TCP"):
    return {"socket_address": {"protocol": protocol, "address": "127.0.0.1", "port_value": port}}


def bootstrap(admin, port, host):
    proxy = {"@type": "type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig", "stat_prefix": "datagrams",
             "matcher": {"on_no_match": {"action": {"name": "route", "typed_config": {
                 "@type": "type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.v3.Route", "cluster": "host"}}}}}
    listener = {"name": "datagrams", "address": address(port, "UDP"),
                "listener_filters": [{"name": "envoy.filters.udp_listener.udp_proxy", "typed_config": proxy}]}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(host, "UDP")}}]}]
    cluster = {"name": "host", "type": "STATIC", "load_assignment": {"cluster_name": "host", "endpoints": endpoints}}
    return {"admin": {"address": address(admin)}, "static_resources": {"listeners": [listener], "clusters": [cluster]}}


def serve(host):
    """Sends back what comes, in a process of its own, until it is killed."""
    pid = os.fork()
    if pid:
        return pid
    os.sched_setaffinity(0, {OTHER_CORE})
    while True:
        datagram, peer = host.recvfrom(65_536)
        host.sendto(datagram, peer)


def exchange(port, args):
    """Sends all datagrams; how many came back, and how many did not."""
    payload = b"x" * args.size
    clients, poll = {}, select.epoll()
    for _ in range(args.clients):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.connect(("127.0.0.1", port))
        client.setblocking(False)
        clients[client.fileno()] = client
        poll.register(client, select.EPOLLIN)
    left, back, lost = args.datagrams, 0, 0
    waiting = dict.fromkeys(clients, 0)

    def send(number):
        nonlocal left, lost
        while left and waiting[number] < args.window:
            left -= 1
            try:
                clients[number].send(payload)
                waiting[number] += 1
            except ConnectionRefusedError:  # an answer to the one before
                lost += 1

    for number in clients:
        send(number)
    while any(waiting.values()):
        ready = poll.poll(LOST_SECONDS)
        if not ready:
            lost += sum(waiting.values())
            waiting = dict.fromkeys(clients, 0)
            for number in clients:
                send(number)
        for number, _ in ready:
            try:
                while waiting[number]:
                    clients[number].recv(65_536)
                    waiting[number] -= 1
                    back += 1
            except BlockingIOError:
                pass
            except ConnectionRefusedError:
                lost, waiting[number] = lost + waiting[number], 0
            send(number)
    for client in clients.values():
        client.close()
    return back, lost


def measure(argv, host, args, directory):
    admin, port = free_port(), free_port()
    path = f"{directory}/bootstrap.json"
    with open(path, "w") as file:
        json.dump(bootstrap(admin, port, host), file)
    process = Process([*argv, "-c", path, "--concurrency", "1", "-l", "error"], f"{directory}/log", PROXY_CORE, admin)
    try:
        few = argparse.Namespace(**{**vars(args), "datagrams": args.clients * args.window})
        # The admin interface is there before the listener.
        while not exchange(port, few)[0]:
            time.sleep(0.05)
        before, began = process.cpu_seconds(), time.monotonic()
        back, lost = exchange(port, args)
        cpu, took = process.cpu_seconds() - before, time.monotonic() - began
        return cpu / back * 1e6, back / took, lost, process.rss_mib()
    finally:
        process.stop()


def main():
    args = arguments()
    prefer()
    os.sched_setaffinity(0, {OTHER_CORE})
    peers = {"dragoman": [os.path.abspath(args.dragoman)], "envoy": [args.envoy, "--disable-hot-restart"] if args.envoy else None}
    peers = {name: argv for name, argv in peers.items() if argv and os.path.exists(argv[0])}
    host = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    host.bind(("127.0.0.1", 0))
    echo = serve(host)
    seen = {name: [] for name in peers}
    try:
        with tempfile.TemporaryDirectory() as directory:
            for _ in range(args.rounds):
                for name, argv in peers.items():
                    seen[name].append(measure(argv, host.getsockname()[1], args, directory))
    finally:
        os.kill(echo, 9)
        os.waitpid(echo, 0)
    print("| peer | CPU µs/datagram | lowest | datagrams/s | lost | RSS MiB |\n|---|--:|--:|--:|--:|--:|")
    for name, rounds in seen.items():
        cpu, rate, lost, rss = zip(*rounds)
        print(f"| {name} | {statistics.median(cpu):.1f} | {min(cpu):.1f} | {statistics.median(rate):.0f} | {sum(lost)} | "
              f"{statistics.median(rss):.1f} |")


if __name__ == "__main__":
    main()
