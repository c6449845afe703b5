#!/usr/bin/env python3
"""Sends each request over a connection of its own, with a whole TLS 1.3 handshake, as fast as the answers come.

wrk takes up its sessions again, so what it measures is no full handshake. Prints one line of JSON. Uses nothing
but the standard library.
"""
import argparse
import json
import multiprocessing
import socket
import ssl
import time

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--clients", type=int, default=8)
    return parser.parse_args()


def context():
    """A client that trusts everybody: what is measured is the server."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def asked_once(client, port):
    """Whether a request was answered after a handshake without anything of an earlier one."""
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with client.wrap_socket(plain) as connection:
                connection.sendall(REQUEST)
                first = connection.recv(65536)
                while connection.recv(65536):
                    pass
                return first.startswith(b"HTTP/1.1 200") and not connection.session_reused
    except OSError:
        return False


def client_for(seconds, port, took, failed):
    client = context()
    end = time.monotonic() + seconds
    mine, errors = [], 0
    while (begun := time.monotonic()) < end:
        if asked_once(client, port):
            mine.append(time.monotonic() - begun)
        else:
            errors += 1
    took.put(mine)
    failed.put(errors)


def main():
    options = arguments()
    took, failed = multiprocessing.Queue(), multiprocessing.Queue()
    begun = time.monotonic()
    clients = [multiprocessing.Process(target=client_for, args=(options.seconds, options.port, took, failed))
               for _ in range(options.clients)]
    for each in clients:
        each.start()
    times = sorted(time for _ in clients for time in took.get())
    errors = sum(failed.get() for _ in clients)
    for each in clients:
        each.join()
    seconds = time.monotonic() - begun
    at = lambda share: times[int(share * len(times))] * 1e6 if times else float("nan")
    print(json.dumps({"requests": len(times), "seconds": seconds, "errors": errors, "p50": at(0.5), "p99": at(0.99)}))


if __name__ == "__main__":
    main()
