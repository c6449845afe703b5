"""The server behind the proxies, and the certificate that they show."""
import os
import shutil
import subprocess

from process import OTHER_CORE, Process, free_port


def certificate(directory):
    """Makes a certificate of ECDSA P-256 for localhost; where it and its key are."""
    chain, key, both = (f"{directory}/{name}.pem" for name in ("chain", "key", "both"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", key, "-out", chain], check=True, stderr=subprocess.DEVNULL)
    with open(both, "w") as out:  # HAProxy wants them in one file
        for name in (chain, key):
            with open(name) as part:
                out.write(part.read())
    return {"chain": chain, "key": key, "both": both}


class Upstream:
    """One nginx worker that answers at once."""

    def __init__(self, directory):
        self.h1, self.h2 = free_port(), free_port()
        os.makedirs(f"{directory}/files")
        for name, size in (("16k", 16 << 10), ("1m", 1 << 20)):
            with open(f"{directory}/files/{name}", "wb") as file:
                file.write(b"x" * size)
        self.certificate = certificate(directory)
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
    location = /1m {{ }}
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
