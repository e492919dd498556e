#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""grpc_server.py PORT: gRPC by Debian's own library, without generated code;
messages are bytes. test.Echo/{Unary,Down,Up,Both,Who,Fail} and health."""
import concurrent.futures
import sys

import grpc


def unary(request, context):
    context.set_trailing_metadata((("x-trailer", "behind"),))
    return request


def down(request, _):
    for number in range(int(request)):
        yield str(number).encode()


def up(requests, _):
    return b"+".join(requests)


def both(requests, _):
    for request in requests:
        yield request.upper()


def who(_, context):
    found = [value for key, value in context.invocation_metadata()
             if key == "x-forwarded-client-cert"]
    return "|".join(found).encode()


def fail(_, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "on purpose")


ECHO = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Down": grpc.unary_stream_rpc_method_handler(down),
    "Up": grpc.stream_unary_rpc_method_handler(up),
    "Both": grpc.stream_stream_rpc_method_handler(both),
    "Who": grpc.unary_unary_rpc_method_handler(who),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
}
# HealthCheckResponse{status: SERVING}
HEALTH = {"Check": grpc.unary_unary_rpc_method_handler(
    lambda request, context: b"\x08\x01")}

server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
server.add_generic_rpc_handlers((
    grpc.method_handlers_generic_handler("test.Echo", ECHO),
    grpc.method_handlers_generic_handler("grpc.health.v1.Health", HEALTH)))
server.add_insecure_port(f"[::]:{sys.argv[1]}")
server.start()
print("listening", flush=True)
server.wait_for_termination()
