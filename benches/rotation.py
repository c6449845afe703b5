#!/usr/bin/env python3
"""Certificates rotate over SDS under HTTPS requests, none of which may fail.

    benches/rotation.py --dragoman target/release/dragoman                 # a minute, 30 rotations and 1,000 requests a second
    benches/rotation.py --dragoman target/release/dragoman --seconds 10

The proxy takes its certificate from a file of secrets, which is replaced so many times a second, by one of two
certificates in turn. Requests are sent at a fixed rate: nine of ten over connections that are kept, one of ten over a
connection of its own, so that handshakes meet rotations. Prints what was sent, what failed, the times of answers and what
the proxy counted. Ends with 1 when a request failed. All traffic stays on 127.0.0.1.
"""
import argparse
import asyncio
import json
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

PEM = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "tls"
KEPT = 32
REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


def secret(name):
    certificate = {"certificate_chain": {"filename": str(PEM / f"{name}.pem")},
                   "private_key": {"filename": str(PEM / f"{name}.key")}}
    kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
    return json.dumps({"resources": [{"@type": kind, "name": "web", "tls_certificate": certificate}]})


def bootstrap(secrets):
    hcm = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
    tls = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    loopback = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    source = {"path_config_source": {"path": str(secrets)}}
    routes = [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "ok"}}}]
    manager = {"@type": hcm, "stat_prefix": "web", "http_filters": [{"name": "router", "typed_config": {"@type": router}}],
               "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}}
    context = {"@type": tls, "common_tls_context": {
        "tls_certificate_sds_secret_configs": [{"name": "web", "sds_config": source}]}}
    chain = {"transport_socket": {"name": "tls", "typed_config": context},
             "filters": [{"name": "http", "typed_config": manager}]}
    return {"node": {"id": "bench", "cluster": "bench"}, "admin": {"address": loopback},
            "static_resources": {"listeners": [{"name": "web", "address": loopback, "filter_chains": [chain]}]}}


def read(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


async def connect(port, context):
    return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="server.example")


async def ask(connection):
    reader, writer = connection
    writer.write(REQUEST)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    await reader.readexactly(2)
    return head.startswith(b"HTTP/1.1 200")


class Load:
    def __init__(self, port):
        self.port, self.took, self.failed = port, [], []
        self.context = ssl.create_default_context()
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.idle = asyncio.Queue()

    async def one(self, fresh):
        begun = time.perf_counter()
        try:
            if fresh:
                connection = await connect(self.port, self.context)
                good = await ask(connection)
                connection[1].close()
            else:
                connection = await self.idle.get()
                good = await ask(connection)
                self.idle.put_nowait(connection)
            if not good:
                self.failed.append("not 200")
        except Exception as error:  # noqa: BLE001: whatever it is, the request failed
            self.failed.append(repr(error))
            if not fresh:
                self.idle.put_nowait(await connect(self.port, self.context))
        self.took.append(time.perf_counter() - begun)

    async def run(self, rate, seconds):
        for _ in range(KEPT):
            self.idle.put_nowait(await connect(self.port, self.context))
        begun, tasks = time.perf_counter(), set()
        for number in range(int(rate * seconds)):
            ahead = begun + number / rate - time.perf_counter()
            if ahead > 0:
                await asyncio.sleep(ahead)
            task = asyncio.create_task(self.one(number % 10 == 0))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)


async def rotate(secrets, rate, seconds):
    begun = time.perf_counter()
    for number in range(int(rate * seconds)):
        ahead = begun + number / rate - time.perf_counter()
        if ahead > 0:
            await asyncio.sleep(ahead)
        new = secrets.with_suffix(".new")
        new.write_text(secret(("second", "server")[number % 2]))
        os.replace(new, secrets)


async def measure(options, port, secrets):
    load = Load(port)
    await asyncio.gather(load.run(options.rate, options.seconds), rotate(secrets, options.rotations, options.seconds))
    return load


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dragoman", default="target/release/dragoman")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=1000, help="requests a second")
    parser.add_argument("--rotations", type=float, default=30, help="rotations a second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        secrets, config, admin = folder / "secrets.json", folder / "bootstrap.json", folder / "admin"
        secrets.write_text(secret("server"))
        config.write_text(json.dumps(bootstrap(secrets)))
        command = [options.dragoman, "-c", str(config), "--concurrency", "1", "--admin-address-path", str(admin), "-l", "error"]
        proxy = subprocess.Popen(command)
        try:
            while not admin.exists() or not admin.read_text():
                time.sleep(0.05)
            base = f"http://{admin.read_text().strip()}"
            while "LIVE" not in read(f"{base}/server_info"):
                time.sleep(0.05)
            port = int(read(f"{base}/listeners").split(":")[-1])
            load = asyncio.run(measure(options, port, secrets))
            stats = read(f"{base}/stats?filter=sds.web.update_(success|rejected)|ssl_context_update_by_sds|ssl.handshake$")
        finally:
            proxy.terminate()
            proxy.wait()
    took = sorted(load.took)
    print(f"{len(took)} requests, {len(load.failed)} failed, p50 {took[len(took) // 2] * 1e3:.2f} ms, "
          f"p99 {took[len(took) * 99 // 100] * 1e3:.2f} ms, most {took[-1] * 1e3:.1f} ms")
    print(stats, end="")
    for failure in load.failed[:10]:
        print(failure)
    sys.exit(1 if load.failed else 0)


if __name__ == "__main__":
    main()
