"""The load: wrk for HTTP/1.1, h2load for HTTP/2, and what they say of it; pace.py or h2load at a fixed rate."""
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from process import OTHER_CORE, on_core

UPLOAD = 'wrk.method = "POST"\nwrk.body = string.rep("x", %d)\n'
MICROSECONDS = {"us": 1, "ms": 1e3, "s": 1e6, "m": 60e6}


@dataclass
class Load:
    requests: int
    seconds: float
    errors: int
    p50: float
    p99: float


def drive(scenario, port, seconds):
    """Puts as much load on as the peer takes."""
    if scenario.handshake:
        return Load(**beside("handshakes.py", seconds, port, "--seconds", seconds, "--clients", scenario.connections))
    url = f"{'https' if scenario.tls else 'http'}://127.0.0.1:{port}{scenario.path}"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if scenario.down_h2:
            argv = ["h2load", "-t", "1", "-c", scenario.connections, "-m", scenario.streams, "-D", seconds, url]
        else:
            argv = ["wrk", "-t1", f"-c{scenario.connections}", f"-d{seconds}s", "--latency", "--timeout", "10s", url]
            if scenario.upload:
                script.write(UPLOAD % scenario.upload)
                script.flush()
                argv[1:1] = ["-s", script.name]
        child = subprocess.Popen([str(word) for word in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 text=True, preexec_fn=on_core(OTHER_CORE))
        out, _ = child.communicate(timeout=seconds + 30)
    return from_h2load(out) if scenario.down_h2 else from_wrk(out)


def microseconds(number, unit):
    return float(number) * MICROSECONDS[unit]


def from_wrk(out):
    done = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", out)
    if not done:
        raise RuntimeError(f"wrk said: {out[-400:]}")
    errors = sum(int(number) for line in re.findall(r"Socket errors: (.*)", out) for number in re.findall(r"\d+", line))
    errors += sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", out))
    percentile = {}
    for which in ("50", "99"):
        found = re.search(rf"^\s+{which}%\s+([\d.]+)(us|ms|s|m)\s*$", out, re.M)
        percentile[which] = microseconds(found[1], found[2]) if found else math.nan
    return Load(int(done[1]), microseconds(done[2], done[3]) / 1e6, errors, percentile["50"], percentile["99"])


def from_h2load(out):
    took = re.search(r"finished in ([\d.]+)(us|ms|s|m),", out)
    codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", out)
    if not (took and codes):
        raise RuntimeError(f"h2load said: {out[-400:]}")
    errors = sum(int(codes[group]) for group in (2, 3, 4))
    return Load(int(codes[1]), microseconds(took[1], took[2]) / 1e6, errors, math.nan, math.nan)


def pace(scenario, port, seconds, rate):
    """Requests at a fixed rate; the times of their answers in µs."""
    if scenario.tls:
        sys.exit(f"{scenario.name}: no load at a fixed rate is made over TLS")
    if scenario.down_h2:
        return pace_h2(scenario, port, seconds, rate)
    return beside("pace.py", seconds, port, "--path", scenario.path, "--rate", rate, "--seconds", seconds,
                  "--connections", scenario.connections)


def beside(name, seconds, *words):
    """What a program beside this file prints as JSON."""
    argv = [sys.executable, f"{os.path.dirname(os.path.abspath(__file__))}/{name}", *words]
    return json.loads(subprocess.run([str(word) for word in argv], stdout=subprocess.PIPE, check=True,
                                     timeout=seconds + 30, preexec_fn=on_core(OTHER_CORE)).stdout)


def pace_h2(scenario, port, seconds, rate):
    """As `pace`; but a request's time runs from when it was sent, which is when it was due as long as a connection
    has streams left."""
    with tempfile.NamedTemporaryFile("r", suffix=".log") as log:
        argv = ["h2load", "-t", 1, "-c", scenario.connections, "-m", scenario.streams, "-D", seconds, "--rps",
                rate / scenario.connections, "--log-file", log.name, f"http://127.0.0.1:{port}{scenario.path}"]
        subprocess.run([str(word) for word in argv], stdout=subprocess.DEVNULL, check=True, timeout=seconds + 30,
                       preexec_fn=on_core(OTHER_CORE))
        lines = [line.split() for line in log]
    took = sorted(int(line[2]) for line in lines)
    at = lambda share: took[min(len(took) - 1, int(share * len(took)))] if took else math.nan
    errors = sum(line[1] != "200" for line in lines)
    return {"requests": len(lines), "errors": errors, "p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "max": at(1)}
