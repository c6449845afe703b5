"""The proxies, with configurations that ask the same of each."""
import json
import os
import shutil
import sys

from bootstrap import bootstrap
from process import PROXY_CORE, Process, free_port

ALL = ("dragoman", "envoy", "nginx", "haproxy")
NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class CannotRun(Exception):
    """A peer is missing or has no such feature."""


def leave_out(name, scenario, reason):
    print(f"{name} is left out of {scenario.name}: {reason}", file=sys.stderr)


class Peer:
    def __init__(self, name, process, port, admin):
        self.name, self.process, self.port, self.admin = name, process, port, admin


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


def nginx(name, scenario, upstream, directory):
    if scenario.up_h2:
        raise CannotRun("nginx speaks no HTTP/2 to upstreams")
    port = free_port()
    with open(f"{directory}/nginx.conf", "w") as file:
        file.write("daemon off; worker_processes 1; error_log stderr crit; pid pid;\n")
        file.write((nginx_stream if scenario.tcp else nginx_http)(scenario, upstream, directory, port))
    argv = [binary("nginx", "NGINX_BIN"), "-p", directory, "-c", f"{directory}/nginx.conf"]
    return Peer(name, Process(argv, f"{directory}/log", PROXY_CORE, port), port, None)


def nginx_stream(scenario, upstream, directory, port):
    if not os.path.exists(NGINX_STREAM):
        raise CannotRun(f"there is no {NGINX_STREAM}")
    return f"""load_module {NGINX_STREAM};
events {{ worker_connections 10000; }}
stream {{ server {{ listen 127.0.0.1:{port} backlog=4096; proxy_pass 127.0.0.1:{upstream.h1}; }} }}
"""


def nginx_http(scenario, upstream, directory, port):
    log = "access_log access.log combined;" if scenario.scrape else "access_log off;"
    modes = ("ssl " if scenario.tls else "") + ("http2 " if scenario.down_h2 else "")
    tls = (f"ssl_certificate {upstream.certificate['chain']}; ssl_certificate_key {upstream.certificate['key']}; "
           "ssl_protocols TLSv1.3; " if scenario.tls else "")
    paths = [f"/r{number:04d}/" for number in range(scenario.routes + 1)] if scenario.routes else ["/"]
    locations = "\n".join(f"location {path} {{ proxy_pass http://up; }}" for path in paths)
    return f"""events {{ worker_connections 10000; }}
http {{
  {log} keepalive_requests 1000000000; client_max_body_size 0; proxy_request_buffering off; {tls}
  http2_max_concurrent_streams 1024; client_body_temp_path {directory}/tmp; proxy_temp_path {directory}/tmp;
  proxy_http_version 1.1; proxy_set_header Connection "";
  upstream up {{ server 127.0.0.1:{upstream.h1}; keepalive 512; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} {modes}backlog=4096; {locations} }}
}}
"""


def haproxy(name, scenario, upstream, directory):
    port = free_port()
    rules = "".join(f"  use_backend up if {{ path_beg /r{number:04d}/ }}\n" for number in range(scenario.routes + 1))
    modes = "proto h2" if scenario.down_h2 else ""
    if scenario.tls:
        modes = f"ssl crt {upstream.certificate['both']} ssl-min-ver TLSv1.3"
    with open(f"{directory}/haproxy.cfg", "w") as file:
        file.write(f"""global
  nbthread 1
  maxconn 4000
defaults
  mode {"tcp" if scenario.tcp else "http"}
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend main
  bind 127.0.0.1:{port} {modes}
{rules if scenario.routes else ""}  default_backend up
backend up
{"" if scenario.tcp else "  http-reuse always"}
  server up 127.0.0.1:{upstream.h2 if scenario.up_h2 else upstream.h1} {"proto h2" if scenario.up_h2 else ""}
""")
    argv = [binary("haproxy", "HAPROXY_BIN"), "-db", "-f", f"{directory}/haproxy.cfg"]
    return Peer(name, Process(argv, f"{directory}/log", PROXY_CORE, port), port, None)
