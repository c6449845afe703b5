"""What the proxy must do, and the load that is put on it."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    down_h2: bool = False     # HTTP/2 without TLS from the client
    up_h2: bool = False       # HTTP/2 without TLS to the upstream
    tls: bool = False         # TLS 1.3 from the client, with a certificate of ECDSA P-256
    handshake: bool = False   # a connection and a full handshake for each request
    tcp: bool = False         # bytes are forwarded, whatever they are
    routes: int = 0           # prefix routes before the one that matches
    scrape: bool = False      # JSON access log to a file, and statistics read each second
    connections: int = 32
    streams: int = 1
    path: str = "/"
    upload: int = 0           # bytes of each request's body


SCENARIOS = {scenario.name: scenario for scenario in (
    Scenario("S1", "HTTP/1.1, 12 bytes"),
    Scenario("S2", "HTTP/1.1, 16 KiB", path="/16k"),
    Scenario("S3a", "HTTP/2 to HTTP/1.1, 1 connection of 100 streams", down_h2=True, connections=1, streams=100),
    Scenario("S3b", "HTTP/2 to HTTP/1.1, 10 connections of 32 streams", down_h2=True, connections=10, streams=32),
    Scenario("S4", "HTTP/2 to HTTP/2, 10 connections of 32 streams", down_h2=True, up_h2=True, connections=10,
             streams=32),
    Scenario("S5", "HTTPS kept alive, 12 bytes", tls=True),
    Scenario("S6", "HTTPS, a full handshake for each request", tls=True, handshake=True, connections=8),
    Scenario("S7a", "TCP, 12 bytes", tcp=True),
    Scenario("S7b", "TCP, 1 MiB", tcp=True, path="/1m", connections=4),
    Scenario("S8a", "1,000 prefix routes, the last one matches", routes=999, path="/r0999/x"),
    Scenario("S8b", "JSON access log, statistics scraped each second", scrape=True),
    Scenario("S9", "uploads of 1 MiB", path="/upload", upload=1 << 20, connections=8),
)}
