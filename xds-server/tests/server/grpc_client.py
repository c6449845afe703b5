"""A gRPC client whose channel is configured over xDS, and the two servers that it may be sent to.

Prints the ports of the servers ("blue" and "green"), then, for each line read from standard input, which of
them answered a call through the channel, or "nobody". GRPC_XDS_BOOTSTRAP_CONFIG says where the management server
is.
"""

import concurrent.futures
import sys

import grpc


def start(answer):
    def call(_request, _context):
        return answer

    handler = grpc.method_handlers_generic_handler("test", {"Who": grpc.unary_unary_rpc_method_handler(call)})
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=2))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def ask(who):
    """A call that was meant for a cluster which goes before it has a connection waits in vain, so none waits long."""
    try:
        return who(b"", timeout=2, wait_for_ready=True).decode()
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
            raise
        return "nobody"


def main():
    servers = [start(b"blue"), start(b"green")]
    print(*(port for _, port in servers), flush=True)
    with grpc.insecure_channel("xds:///who") as channel:
        who = channel.unary_unary("/test/Who")
        for _ in sys.stdin:
            print(ask(who), flush=True)


main()
