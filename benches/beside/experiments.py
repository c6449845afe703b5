"""What is not CPU time a request: latency at a fixed rate, memory of idle connections, the start."""
import contextlib
import socket
import statistics
import tempfile
import threading
import time
import urllib.request

import handshakes
import load
import peers

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
SETTLE_SECONDS = 1  # until memory is read: what is freed with a delay counts as free


def started(scenario, names, upstream, directory):
    """Peers that serve the scenario, and for each that cannot a reason on the standard error."""
    running = []
    try:
        for name in names:
            try:
                running.append(peers.start(name, scenario, upstream, f"{directory}/{name}"))
            except peers.CannotRun as reason:
                peers.leave_out(name, scenario, reason)
    except BaseException:
        stop(running)
        raise
    return running


def stop(running):
    for peer in running:
        peer.process.stop()


def table(head, rounds, cells):
    """A row for each peer; `cells` makes it of the peer's rounds and Envoy's, or its own without Envoy."""
    print("\n" + head + "\n|---|" + "--:|" * (head.count("|") - 2))
    for name, runs in rounds.items():
        print(f"| {name} | {' | '.join(cells(runs, rounds.get('envoy', runs)))} |", flush=True)


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def ratio(runs, base, key):
    return statistics.median(mine[key] / theirs[key] for mine, theirs in zip(runs, base))


def scrape(peer):
    """Reads the statistics of a peer that has any."""
    if peer.admin:
        urllib.request.urlopen(f"http://127.0.0.1:{peer.admin}/stats/prometheus", timeout=5).read()


@contextlib.contextmanager
def scraping(peer, scenario):
    """Reads the statistics once a second where the scenario asks for it."""
    done = threading.Event()

    def run():
        while not done.wait(1):
            scrape(peer)

    if scenario.scrape:
        threading.Thread(target=run, daemon=True).start()
    yield
    done.set()


def latency(scenario, names, options, upstream):
    """How long answers take at a rate that is no load for any of the peers."""
    with tempfile.TemporaryDirectory() as directory:
        running = started(scenario, names, upstream, directory)
        try:
            rounds = {peer.name: [] for peer in running}
            for round_ in range(options.repeat + 1):
                for peer in running:
                    before = peer.process.cpu_seconds()
                    with scraping(peer, scenario):
                        run = load.pace(scenario, peer.port, options.seconds if round_ else 1, options.rate)
                    run["cpu"] = (peer.process.cpu_seconds() - before) * 1e6 / run["requests"]
                    if round_:  # the first only warms up
                        rounds[peer.name].append(run)
        finally:
            stop(running)
    print(f"\n### {scenario.name}: {scenario.title}, {options.rate} requests/s")
    table("| peer | p50 µs | p99 µs | lowest p99 | p99 ratio | p99.9 µs | slowest µs | CPU µs/req | errors |", rounds,
          lambda runs, base: [
              f"{median(runs, 'p50'):.0f}", f"{median(runs, 'p99'):.0f}", f"{min(run['p99'] for run in runs):.0f}",
              f"{ratio(runs, base, 'p99'):.2f}", f"{median(runs, 'p999'):.0f}",
              f"{max(run['max'] for run in runs):.0f}", f"{median(runs, 'cpu'):.1f}",
              f"{sum(run['errors'] for run in runs)}"])


def answered(peer, scenario):
    """A connection on which one request was answered."""
    connection = socket.create_connection(("127.0.0.1", peer.port), 10)
    if scenario.tls:
        connection = handshakes.context().wrap_socket(connection)
    connection.sendall(REQUEST)
    answer = connection.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"answered {answer[:60]!r}")
    return connection


def idle(scenario, names, options, upstream):
    """What a kept-alive connection costs while nothing happens on it."""
    rounds = {}
    for _ in range(options.repeat):
        with tempfile.TemporaryDirectory() as directory:
            running = started(scenario, names, upstream, directory)
            try:
                for peer in running:
                    rounds.setdefault(peer.name, []).append(idle_once(peer, scenario, options.connections))
            finally:
                stop(running)
    print(f"\n### {scenario.name}: {options.connections} idle connections, one answer on each")
    table("| peer | RSS before MiB | after MiB | KiB a connection | ratio |", rounds, lambda runs, base: [
        f"{median(runs, 'before'):.1f}", f"{median(runs, 'after'):.1f}", f"{median(runs, 'kib'):.1f}",
        f"{median(runs, 'kib') / median(base, 'kib'):.2f}"])


def idle_once(peer, scenario, count):
    answered(peer, scenario).close()
    time.sleep(SETTLE_SECONDS)
    before = peer.process.rss_mib()
    held = [answered(peer, scenario) for _ in range(count)]
    time.sleep(SETTLE_SECONDS)
    after = peer.process.rss_mib()
    for connection in held:
        connection.close()
    return {"before": before, "after": after, "kib": (after - before) * 1024 / count}


def startup(scenario, names, options, upstream):
    """From starting the process to its first answer, and the memory it has a second later."""
    rounds = {}
    for _ in range(options.repeat):
        for name in names:
            with tempfile.TemporaryDirectory() as directory:
                begun = time.perf_counter()
                running = started(scenario, [name], upstream, directory)
                try:
                    for peer in running:
                        answered(peer, scenario).close()
                        took = time.perf_counter() - begun
                        time.sleep(SETTLE_SECONDS)
                        rounds.setdefault(name, []).append({"ms": took * 1e3, "rss": peer.process.rss_mib()})
                finally:
                    stop(running)
    print("\n### Start")
    table("| peer | to the first answer ms | slowest ms | RSS MiB | highest MiB | RSS ratio |", rounds,
          lambda runs, base: [
              f"{median(runs, 'ms'):.0f}", f"{max(run['ms'] for run in runs):.0f}", f"{median(runs, 'rss'):.1f}",
              f"{max(run['rss'] for run in runs):.1f}", f"{ratio(runs, base, 'rss'):.2f}"])
