#!/usr/bin/env python3
"""Measures dragoman beside Envoy, nginx and HAProxy: CPU time a request, on equal configurations, in turns.

    benches/beside/run.py                                  # all scenarios
    benches/beside/run.py --scenario S1,S2 --repeat 8
    benches/beside/run.py --mode latency --scenario S1,S2,S4 --rate 2000   # answers' times at a fixed rate
    benches/beside/run.py --mode idle                      # memory of idle connections
    benches/beside/run.py --mode startup                   # time to the first answer, memory after it

The proxy has one worker on core 0; the load and the upstream share core 1. Peers take turns in each round, so
that a slow spell of the machine hits all; figures are medians over the rounds, *ratio* is the median of a peer's
CPU time over Envoy's in the same round. All traffic stays on 127.0.0.1. Needs wrk, h2load (nghttp2-client), nginx,
haproxy, openssl, and Envoy as `envoy` or $ENVOY_BIN; a peer that is missing is named and left out.
"""
import argparse
import os
import shutil
import statistics
import tempfile
import time

import experiments
import load
import peers
import process
import upstream as server
from scenarios import SCENARIOS

COLUMNS = "| peer | CPU µs/req | lowest | ratio | req/s | p50 µs | p99 µs | RSS MiB | errors |"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", default="cpu", choices=MODES)
    parser.add_argument("--scenario", help="names, separated by commas; all, and S1 unless the mode is cpu")
    parser.add_argument("--peer", default=",".join(peers.ALL), help="names, separated by commas")
    parser.add_argument("--seconds", type=int, default=3, help="length of a run")
    parser.add_argument("--repeat", type=int, default=5, help="rounds")
    parser.add_argument("--rate", type=int, default=2000, help="requests a second; for latency")
    parser.add_argument("--connections", type=int, default=1000, help="for idle")
    options = parser.parse_args()
    options.scenario = options.scenario or (",".join(SCENARIOS) if options.mode == "cpu" else "S1")
    return options


def measure(peer, scenario, seconds):
    before = peer.process.cpu_seconds()
    with experiments.scraping(peer, scenario):
        done = load.drive(scenario, peer.port, seconds)
    used = peer.process.cpu_seconds() - before
    return {"cpu": used * 1e6 / max(done.requests, 1), "rate": done.requests / done.seconds, "p50": done.p50,
            "p99": done.p99, "rss": peer.process.rss_mib(), "errors": done.errors}


def table(rounds):
    lines = [COLUMNS, "|---|" + "--:|" * 8]
    for name, runs in rounds.items():
        base = rounds.get("envoy", runs)
        median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        ratio = statistics.median(mine["cpu"] / theirs["cpu"] for mine, theirs in zip(runs, base))
        lowest = min(run["cpu"] for run in runs)
        errors = sum(run["errors"] for run in runs)
        lines.append(f"| {name} | {median['cpu']:.1f} | {lowest:.1f} | {ratio:.2f} | {median['rate']:.0f} | "
                     f"{median['p50']:.0f} | {median['p99']:.0f} | {median['rss']:.1f} | {errors:.0f} |")
    return "\n".join(lines)


def cpu(scenario, names, options, upstream):
    """CPU time a request, under full load."""
    with tempfile.TemporaryDirectory() as directory:
        running = experiments.started(scenario, names, upstream, directory)
        try:
            for peer in running:
                load.drive(scenario, peer.port, 1)
            rounds = {peer.name: [] for peer in running}
            for _ in range(options.repeat):
                for peer in running:
                    rounds[peer.name].append(measure(peer, scenario, options.seconds))
                    time.sleep(0.2)
        finally:
            experiments.stop(running)
    print(f"\n### {scenario.name}: {scenario.title}\n\n{table(rounds)}", flush=True)


MODES = {"cpu": cpu, "latency": experiments.latency, "idle": experiments.idle, "startup": experiments.startup}


def main():
    options = arguments()
    process.require("wrk", "h2load", "nginx", "openssl")
    process.prefer()
    names = [name for name in options.peer.split(",") if name]
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        upstream = server.Upstream(directory)
        try:
            for name in options.scenario.split(","):
                MODES[options.mode](SCENARIOS[name], names, options, upstream)
        finally:
            upstream.process.stop()
            shutil.rmtree(f"{directory}/tmp", ignore_errors=True)


if __name__ == "__main__":
    main()
