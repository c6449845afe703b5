"""The proxies and the upstream, with configurations that ask the same of each."""
import json
import os
import shutil
import sys

from process import OTHER_CORE, PROXY_CORE, Process, free_port

ALL = ("dragoman", "envoy", "nginx", "haproxy")
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TYPE = "type.googleapis.com/envoy.extensions."


class CannotRun(Exception):
    """A peer is missing or has no such feature."""


def leave_out(name, scenario, reason):
    print(f"{name} is left out of {scenario.name}: {reason}", file=sys.stderr)


class Peer:
    def __init__(self, name, process, port, admin):
        self.name, self.process, self.port, self.admin = name, process, port, admin


class Upstream:
    """One nginx worker that answers at once."""

    def __init__(self, directory):
        self.h1, self.h2 = free_port(), free_port()
        os.makedirs(f"{directory}/files")
        with open(f"{directory}/files/16k", "wb") as file:
            file.write(b"x" * 16384)
        with open(f"{directory}/upstream.conf", "w") as file:
            file.write(f"""daemon off; worker_processes 1; error_log stderr crit; pid {directory}/upstream.pid;
events {{ worker_connections 10000; }}
http {{
  access_log off; sendfile on; tcp_nopush on; client_max_body_size 0; keepalive_requests 1000000000;
  open_file_cache max=10; http2_max_concurrent_streams 1024;
  client_body_temp_path {directory}/tmp; proxy_temp_path {directory}/tmp;
  server {{
    listen 127.0.0.1:{self.h1} backlog=4096; listen 127.0.0.1:{self.h2} http2 backlog=4096;
    root {directory}/files;
    location / {{ return 200 "hello world\\n"; }}
    location = /16k {{ }}
    location = /upload {{
      client_body_buffer_size 2m; proxy_pass_request_body off; proxy_set_header Content-Length "";
      proxy_pass http://unix:{directory}/answer:/;
    }}
  }}
  server {{ listen unix:{directory}/answer; location / {{ return 200 "hello world\\n"; }} }}
}}
""")
        argv = [shutil.which("nginx"), "-p", directory, "-c", f"{directory}/upstream.conf"]
        self.process = Process(argv, f"{directory}/upstream.log", OTHER_CORE, self.h1)


def start(name, scenario, upstream, directory):
    os.makedirs(directory)
    return {"dragoman": envoy_like, "envoy": envoy_like, "nginx": nginx, "haproxy": haproxy}[name](
        name, scenario, upstream, directory)


def binary(name, variable):
    found = os.environ.get(variable) or shutil.which(name)
    if not found:
        raise CannotRun(f"no {name} on the PATH and no ${variable}")
    return found


def program(name):
    """The binary of dragoman or Envoy."""
    if name != "dragoman":
        return binary("envoy", "ENVOY_BIN")
    found = os.environ.get("DRAGOMAN_BIN", f"{ROOT}/target/release/dragoman")
    if not os.path.exists(found):
        raise CannotRun("cargo build --release first")
    return found


def envoy_like(name, scenario, upstream, directory):
    port, admin = free_port(), free_port()
    path = f"{directory}/bootstrap.json"
    with open(path, "w") as file:
        json.dump(bootstrap(scenario, port, admin, upstream), file)
    argv = [program(name), "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "warn"]
    return Peer(name, Process(argv, f"{directory}/log", PROXY_CORE, port), port, admin)


def bootstrap(scenario, port, admin, upstream):
    def address(port):
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    routes = [{"match": {"prefix": f"/r{number:04d}/"}, "route": {"cluster": "up"}}
              for number in range(scenario.routes + 1)] if scenario.routes else [
                  {"match": {"prefix": "/"}, "route": {"cluster": "up"}}]
    manager = {
        "@type": TYPE + "filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "http",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "envoy.filters.http.router",
                          "typed_config": {"@type": TYPE + "filters.http.router.v3.Router"}}],
    }
    if scenario.scrape:
        operators = {"method": "%REQ(:METHOD)%", "path": "%REQ(:PATH)%", "code": "%RESPONSE_CODE%",
                     "flags": "%RESPONSE_FLAGS%", "duration": "%DURATION%", "host": "%UPSTREAM_HOST%",
                     "time": "%START_TIME%", "sent": "%BYTES_SENT%"}
        manager["access_log"] = [{"name": "envoy.access_loggers.file", "typed_config": {
            "@type": TYPE + "access_loggers.file.v3.FileAccessLog", "path": "access.log",
            "log_format": {"json_format": operators}}}]
    protocol = "http2_protocol_options" if scenario.up_h2 else "http_protocol_options"
    return {
        "admin": {"address": address(admin)},
        "static_resources": {
            "listeners": [{"name": "main", "address": address(port), "filter_chains": [{"filters": [
                {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}],
            "clusters": [{
                "name": "up", "type": "STATIC",
                "load_assignment": {"cluster_name": "up", "endpoints": [{"lb_endpoints": [{"endpoint": {
                    "address": address(upstream.h2 if scenario.up_h2 else upstream.h1)}}]}]},
                "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": TYPE + "upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {protocol: {}}}},
            }],
        },
    }


def nginx(name, scenario, upstream, directory):
    if scenario.up_h2:
        raise CannotRun("nginx speaks no HTTP/2 to upstreams")
    port = free_port()
    log = "access_log access.log combined;" if scenario.scrape else "access_log off;"
    paths = [f"/r{number:04d}/" for number in range(scenario.routes + 1)] if scenario.routes else ["/"]
    locations = "\n".join(f"location {path} {{ proxy_pass http://up; }}" for path in paths)
    with open(f"{directory}/nginx.conf", "w") as file:
        file.write(f"""daemon off; worker_processes 1; error_log stderr crit; pid {directory}/pid;
events {{ worker_connections 10000; }}
http {{
  {log} keepalive_requests 1000000000; client_max_body_size 0; proxy_request_buffering off;
  http2_max_concurrent_streams 1024; client_body_temp_path {directory}/tmp; proxy_temp_path {directory}/tmp;
  proxy_http_version 1.1; proxy_set_header Connection "";
  upstream up {{ server 127.0.0.1:{upstream.h1}; keepalive 512; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} {"http2" if scenario.down_h2 else ""} backlog=4096; {locations} }}
}}
""")
    argv = [binary("nginx", "NGINX_BIN"), "-p", directory, "-c", f"{directory}/nginx.conf"]
    return Peer(name, Process(argv, f"{directory}/log", PROXY_CORE, port), port, None)


def haproxy(name, scenario, upstream, directory):
    port = free_port()
    rules = "".join(f"  use_backend up if {{ path_beg /r{number:04d}/ }}\n" for number in range(scenario.routes + 1))
    with open(f"{directory}/haproxy.cfg", "w") as file:
        file.write(f"""global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend main
  bind 127.0.0.1:{port} {"proto h2" if scenario.down_h2 else ""}
{rules if scenario.routes else ""}  default_backend up
backend up
  http-reuse always
  server up 127.0.0.1:{upstream.h2 if scenario.up_h2 else upstream.h1} {"proto h2" if scenario.up_h2 else ""}
""")
    argv = [binary("haproxy", "HAPROXY_BIN"), "-db", "-f", f"{directory}/haproxy.cfg"]
    return Peer(name, Process(argv, f"{directory}/log", PROXY_CORE, port), port, None)
