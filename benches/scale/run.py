#!/usr/bin/env python3
"""Measures dragoman and Envoy with many clusters, endpoints and routes that arrive over ADS.

    cargo build --release && cargo build --release -p dragoman-xds --example scale-plane
    benches/scale/run.py                             # 10,000 of each; takes two to four minutes
    benches/scale/run.py --variant DELTA_GRPC
    benches/scale/run.py --repeat 5 --updates 1000   # takes long
    benches/scale/run.py --count 1000 --moves 1000   # endpoints of 1,000 clusters move, 1,000 a second

Both proxies have one worker and stay on core 0; the management server (plane.rs), the load, the upstream and this
script share core 1, where load and upstream go first (in real time where that is allowed) and the management server last.
*Arrival*: a proxy that serves one route gets all the others at once. They are in force when
the first, the middle and the last route are answered; memory is read two seconds later. Meanwhile /ready is asked
every 10 ms over a connection of its own. *Updates*: one after the other, each changes a hundredth of the clusters,
of the endpoints and of the routes, and is waited for until the proxy has acknowledged it; meanwhile requests come at
a fixed rate over routes of which each update changes some. Any answer but 200, and none, is a failed request.
*Moves*: so many a second, each in a response of incremental xDS that is waited for, while requests go to all
clusters; quiet stretches and moving ones take turns. *Hosts alone* is the same load without a proxy: what the machine adds by
itself. As it only ever adds, the lowest p99 of the rounds are compared too.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from parts import HERE, Plane, Proxy, Ready, Upstream
from process import OTHER_CORE, foremost, prefer, require

GOALS = {"arrival s": 1 / 3, "growth MiB": 1 / 3}
READY_GOAL_MS, SETTLE_SECONDS = 50, 2
LOADED_ROUTES = 300  # neighbours: each update changes a hundredth of them


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", default="dragoman,envoy", help="names, separated by commas")
    parser.add_argument("--count", type=int, default=10_000, help="clusters, and routes")
    parser.add_argument("--variant", default="GRPC", choices=("GRPC", "DELTA_GRPC"))
    parser.add_argument("--repeat", type=int, default=2, help="rounds of the arrival")
    parser.add_argument("--updates", type=int, default=100, help="updates under load; 0 leaves them out")
    parser.add_argument("--rate", type=int, default=500, help="requests a second during the updates")
    parser.add_argument("--moves", type=int, default=0, help="instead: so many moves of endpoints a second")
    parser.add_argument("--seconds", type=float, default=8, help="of each quiet stretch and of each moving one")
    return parser.parse_args()


def arrival(proxy, plane, count):
    """Everything arrives at once."""
    plane.do("prepare")
    before, cpu = proxy.process.rss_mib(), proxy.process.cpu_seconds()
    ready = Ready(proxy.admin)
    ready.start()
    begun = time.perf_counter()
    plane.begin("publish")
    for number in (0, count // 2, count - 1):
        proxy.wait_for_route(number)
    took = time.perf_counter() - begun
    plane.line()
    acknowledged = time.perf_counter() - begun
    time.sleep(SETTLE_SECONDS)
    return {"arrival s": took, "acknowledged s": acknowledged, "CPU s": proxy.process.cpu_seconds() - cpu,
            "growth MiB": proxy.process.rss_mib() - before, **ready.stop()}


def updates(proxy, plane, count, rate):
    """One change after the other, under load."""
    argv = [sys.executable, f"{HERE}/../beside/pace.py", str(proxy.port), "--path", "/c{}/", "--spread",
            str(LOADED_ROUTES), "--rate", str(rate), "--until-eof"]
    load = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=foremost(OTHER_CORE))
    ready, took = Ready(proxy.admin), []
    ready.start()
    for _ in range(count):
        plane.do("prepare")
        begun = time.perf_counter()
        plane.do("publish")
        took.append(time.perf_counter() - begun)
    asked = ready.stop()
    time.sleep(1)
    out, _ = load.communicate(timeout=60)
    load = json.loads(out)
    return {"updates": count, "update s": statistics.median(took), "slowest update s": max(took), **asked,
            "requests": load["requests"], "failed requests": load["errors"], "p50 ms": load["p50"] / 1e3,
            "p99 ms": load["p99"] / 1e3, "slowest ms": load["max"] / 1e3, "RSS MiB": proxy.process.rss_mib()}


def measure(name, options, count_updates, upstream, directory):
    """Arrival, and updates unless there are none, with a proxy and a server of their own."""
    plane = Plane(options.count, upstream.port)
    try:
        proxy = Proxy(name, plane, options.variant, directory)
        try:
            arrived = arrival(proxy, plane, options.count)
            updated = updates(proxy, plane, count_updates, options.rate) if count_updates else None
        finally:
            proxy.process.stop()
    finally:
        plane.stop()
    return arrived, updated


def load_for(port, options, meanwhile):
    """What the clients saw while `meanwhile` ran."""
    argv = [sys.executable, f"{HERE}/../beside/pace.py", str(port), "--path", "/c{}/", "--spread",
            str(options.count), "--rate", str(options.rate), "--until-eof"]
    load = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=foremost(OTHER_CORE))
    told = meanwhile()
    out, _ = load.communicate(timeout=60)
    return json.loads(out), told


def move(plane, options):
    """Moves endpoints for a while; how many moves there were a second."""
    plane.begin(f"move {options.moves} {options.seconds}")
    return float(plane.line())


def stretches(proxy, plane, options, upstream):
    """A stretch without a proxy, a quiet one and a moving one."""
    def pause():
        time.sleep(options.seconds)
    alone, _ = load_for(upstream.port, options, pause)
    quiet, _ = load_for(proxy.port, options, pause)
    moving, rate = load_for(proxy.port, options, lambda: move(plane, options))
    return {"moves/s": rate, "requests": moving["requests"], "failed requests": quiet["errors"] + moving["errors"],
            "quiet p50 ms": quiet["p50"] / 1e3, "p50 ms": moving["p50"] / 1e3, "hosts alone p99 ms": alone["p99"] / 1e3,
            "quiet p99 ms": quiet["p99"] / 1e3, "p99 ms": moving["p99"] / 1e3, "p99 ratio": moving["p99"] / quiet["p99"]}


def lowest(runs):
    """Adds to each round what the least disturbed ones say."""
    quiet, moving = (min(run[key] for run in runs) for key in ("quiet p99 ms", "p99 ms"))
    told = {"lowest quiet p99 ms": quiet, "lowest p99 ms": moving, "lowest p99 ratio": moving / quiet}
    return [run | told for run in runs]


def moves(name, options, upstream, directory):
    """Rounds of stretches through one proxy."""
    plane = Plane(options.count, upstream.port)
    try:
        proxy = Proxy(name, plane, "DELTA_GRPC", directory)
        try:
            arrival(proxy, plane, options.count)
            load_for(proxy.port, options, lambda: time.sleep(options.seconds / 2))
            return lowest([stretches(proxy, plane, options, upstream) for _ in range(options.repeat)])
        finally:
            proxy.process.stop()
    finally:
        plane.stop()


def rows(title, runs):
    """A table with a row for each figure, and a column for each proxy."""
    names = list(runs)
    print(f"\n### {title}\n\n| | {' | '.join(names)} | ratio | goal |\n|---|{'--:|' * (len(names) + 2)}")
    for key in runs[names[0]][0]:
        median = [statistics.median(run[key] for run in runs[name]) for name in names]
        # The worst round counts where a limit holds throughout.
        if key in ("ready ms", "not ready", "failed requests"):
            median = [max(run[key] for run in runs[name]) for name in names]
        compares = len(names) > 1 and median[-1] and key not in ("updates", "requests")
        ratio = f"{median[0] / median[-1]:.3f}" if compares else ""
        limits = {"ready ms": f"{READY_GOAL_MS} ms", "not ready": "0", "failed requests": "0"}
        goal = "1.3" if key.endswith("p99 ratio") else limits.get(key, "")
        goal = f"ratio {GOALS[key]:.3f}" if key in GOALS else goal
        print(f"| {key} | {' | '.join(f'{value:.4g}' for value in median)} | {ratio} | {goal} |", flush=True)


def main():
    options = arguments()
    require("nginx")
    prefer()
    arrived, updated = {}, {}
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        upstream = Upstream(directory)
        try:
            names = options.peer.split(",")
            if options.moves:
                moved = {name: moves(name, options, upstream, f"{directory}/{name}") for name in names}
                return rows(f"Moves of endpoints of {options.count} clusters ({options.rate} requests/s)", moved)
            for round_ in range(options.repeat):
                for name in names:
                    wanted = options.updates if round_ == 0 else 0
                    runs = measure(name, options, wanted, upstream, f"{directory}/{name}-{round_}")
                    arrived.setdefault(name, []).append(runs[0])
                    if runs[1]:
                        updated.setdefault(name, []).append(runs[1])
        finally:
            upstream.process.stop()
    rows(f"{options.count} clusters and routes arrive ({options.variant})", arrived)
    if updated:
        rows(f"Updates under load ({options.variant}, {options.rate} requests/s)", updated)


if __name__ == "__main__":
    main()
