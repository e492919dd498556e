#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The side of a container runtime that an agent asks, for pods that a harness
made: says on SOCKET what FILE says of their sandboxes at that moment, a JSON
object {pod UID: {"netns": path or "", "ips": [...], "id": ...}}."""
import concurrent.futures
import json
import os
import sys

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
import grpc  # pylint: disable=wrong-import-position
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_KINDS = {"s": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
          "i": descriptor_pb2.FieldDescriptorProto.TYPE_INT64}


def _messages(described):
    """{message: "name:number:kind ..."}; kind s, i or a message; + repeats. A
    map is, on the wire, repeated pairs."""
    file = descriptor_pb2.FileDescriptorProto(
        name="cri.test.proto", package="runtime.v1", syntax="proto3")
    for message, fields in described.items():
        made = file.message_type.add(name=message)
        for field in fields.split():
            name, number, kind = field.split(":")
            repeated, kind = kind.endswith("+"), kind.rstrip("+")
            made.field.add(
                name=name, number=int(number), label=3 if repeated else 1,
                type=_KINDS.get(
                    kind, descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE),
                type_name=None if kind in _KINDS else f".runtime.v1.{kind}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return {message: factory.GetPrototype(
        pool.FindMessageTypeByName(f"runtime.v1.{message}"))
        for message in described}


_M = _messages({
    "Metadata": "name:1:s uid:2:s namespace:3:s",
    "PodSandbox": "id:1:s metadata:2:Metadata state:3:i created_at:4:i",
    "ListPodSandboxRequest": "",
    "ListPodSandboxResponse": "items:1:PodSandbox+",
    "PodSandboxStatusRequest": "pod_sandbox_id:1:s verbose:2:i",
    "PodIP": "ip:1:s",
    "Network": "ip:1:s additional_ips:2:PodIP+",
    "PodSandboxStatus": "id:1:s state:3:i network:5:Network",
    "Pair": "key:1:s value:2:s",
    "PodSandboxStatusResponse": "status:1:PodSandboxStatus info:2:Pair+",
})


def _info(sandbox):
    network = {"type": "network"}
    if sandbox["netns"]:
        network["path"] = sandbox["netns"]
    namespaces = [{"type": "pid"}, {"type": "ipc"}]
    # A sandbox in the node's namespace has none of its own.
    return json.dumps({"runtimeSpec": {"linux": {"namespaces": namespaces + (
        [network] if sandbox["netns"] else [])}}})


def main(socket, path):
    def read():
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    def listed(_request, _context):
        return _M["ListPodSandboxResponse"](items=[
            {"id": one.get("id", uid), "created_at": number,
             "metadata": {"uid": uid, "name": "pod", "namespace": "ns"}}
            for number, (uid, one) in enumerate(read().items(), 1)])

    def status(request, context):
        for uid, one in read().items():
            if one.get("id", uid) == request.pod_sandbox_id:
                first, *more = one["ips"] or [""]
                return _M["PodSandboxStatusResponse"](
                    status={"id": request.pod_sandbox_id, "network": {
                        "ip": first,
                        "additional_ips": [{"ip": ip} for ip in more]}},
                    info=[{"key": "info", "value": _info(one)}])
        context.abort(grpc.StatusCode.NOT_FOUND, "no such sandbox")
        return None

    def handler(function, request, response):
        return grpc.unary_unary_rpc_method_handler(
            function, _M[request].FromString, _M[response].SerializeToString)

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
        "runtime.v1.RuntimeService", {
            "ListPodSandbox": handler(listed, "ListPodSandboxRequest",
                                      "ListPodSandboxResponse"),
            "PodSandboxStatus": handler(status, "PodSandboxStatusRequest",
                                        "PodSandboxStatusResponse")}),))
    server.add_insecure_port(f"unix://{socket}")
    server.start()
    print("listening", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
