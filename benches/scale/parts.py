"""What takes part in the measurements of `run.py`: upstream, management server, proxy, and who asks for /ready."""
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../beside")

import peers  # noqa: E402
from bootstrap import TYPE  # noqa: E402
from process import OTHER_CORE, PROXY_CORE, Process, foremost, free_port, on_core  # noqa: E402

PLANE = os.environ.get("SCALE_PLANE", f"{peers.ROOT}/target/release/examples/scale-plane")
READY_INTERVAL = 0.01


class Upstream:
    """One nginx worker on three addresses."""

    def __init__(self, directory):
        self.port = free_port()
        listen = " ".join(f"listen 127.0.0.{last}:{self.port} backlog=4096;" for last in (1, 2, 3))
        with open(f"{directory}/upstream.conf", "w") as file:
            file.write(f"""daemon off; worker_processes 1; error_log stderr crit; pid {directory}/upstream.pid;
events {{ worker_connections 10000; }}
http {{
  access_log off; keepalive_requests 1000000000;
  server {{ {listen} location / {{ return 200 "hello world\\n"; }} }}
}}
""")
        argv = ["nginx", "-p", directory, "-c", f"{directory}/upstream.conf"]
        self.process = Process(argv, f"{directory}/upstream.log", OTHER_CORE, self.port, foremost)


def gives_way(core):
    """On this core, but only while nothing else there wants to run."""
    def apply():
        on_core(core)()
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    return apply


class Plane:
    """The management server.

    It gives way to the load and the hosts, which share its core: elsewhere it is a machine of its own, and what its
    work delays there would be taken for the proxy's delay.
    """

    def __init__(self, count, upstream):
        argv = [PLANE, "--clusters", str(count), "--upstream", str(upstream)]
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      preexec_fn=gives_way(OTHER_CORE))
        self.port = int(self.line().removeprefix("port "))

    def line(self):
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError("the management server ended; what the proxy rejected stands above")
        return line.strip()

    def begin(self, command):
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()

    def do(self, command):
        self.begin(command)
        self.line()

    def stop(self):
        self.child.kill()
        self.child.wait()


class Ready(threading.Thread):
    """Asks /ready again and again, and keeps the longest time that an answer took."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.connection, self.done = http.client.HTTPConnection("127.0.0.1", port), threading.Event()
        self.slowest, self.failed = 0, 0

    def run(self):
        while not self.done.wait(READY_INTERVAL):
            begun = time.perf_counter()
            self.connection.request("GET", "/ready")
            answer = self.connection.getresponse()
            answer.read()
            self.failed += answer.status != 200
            self.slowest = max(self.slowest, time.perf_counter() - begun)

    def stop(self):
        self.done.set()
        self.join()
        return {"ready ms": self.slowest * 1e3, "not ready": self.failed}


def bootstrap(port, admin, plane, variant):
    def address(port):
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    ads = {"ads": {}, "resource_api_version": "V3"}
    manager = {
        "@type": TYPE + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http", "rds": {"route_config_name": "table", "config_source": ads},
        "http_filters": [{"name": "envoy.filters.http.router",
                          "typed_config": {"@type": TYPE + "filters.http.router.v3.Router"}}],
    }
    return {
        "node": {"id": "scale", "cluster": "scale"},
        "admin": {"address": address(admin)},
        "dynamic_resources": {
            "ads_config": {"api_type": variant, "transport_api_version": "V3",
                           "grpc_services": [{"envoy_grpc": {"cluster_name": "plane"}}]},
            "cds_config": ads},
        "static_resources": {
            "listeners": [{"name": "main", "address": address(port), "filter_chains": [{"filters": [
                {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}],
            "clusters": [{
                "name": "plane", "type": "STATIC",
                "load_assignment": {"cluster_name": "plane", "endpoints": [{"lb_endpoints": [{"endpoint": {
                    "address": address(plane)}}]}]},
                "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": TYPE + "upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {"http2_protocol_options": {}}}},
            }],
        },
    }


class Proxy:
    """A proxy that serves the first route."""

    def __init__(self, name, plane, variant, directory):
        os.makedirs(directory)
        self.port, self.admin = free_port(), free_port()
        path = f"{directory}/bootstrap.json"
        with open(path, "w") as file:
            json.dump(bootstrap(self.port, self.admin, plane.port, variant), file)
        argv = [peers.program(name), "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "warn"]
        self.process = Process(argv, f"{directory}/log", PROXY_CORE, self.port)
        self.wait_for_route(0)
        time.sleep(1)

    def wait_for_route(self, number):
        request = b"GET /c%06d/ HTTP/1.1\r\nHost: localhost\r\n\r\n" % number
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            while True:
                connection.sendall(request)
                if connection.recv(65536).startswith(b"HTTP/1.1 200"):
                    return
                if self.process.child.poll() is not None:
                    raise RuntimeError(f"the proxy ended: {self.process.log}")
                time.sleep(0.005)
