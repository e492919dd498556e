# SPDX-License-Identifier: Apache-2.0
"""A client of a CA that knows Istio's messages by their numbers, not our
.proto: what passes between it and the CA is what other agents send."""
import json
import os
import signal
import sys
import threading

# Its handlers of fork() deadlock programs that start others.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
import grpc  # pylint: disable=wrong-import-position
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf import struct_pb2

_PACE = 1 / 400
_METHOD = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
_STRING = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
_INT64 = descriptor_pb2.FieldDescriptorProto.TYPE_INT64
_INT32 = descriptor_pb2.FieldDescriptorProto.TYPE_INT32
_MESSAGE = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE


def _messages(package, described):
    """{message: [(name, number, type, repeated, type name)]} as classes."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.test.proto", package=package, syntax="proto3",
        dependency=["google/protobuf/struct.proto"])
    for message, fields in described.items():
        made = file.message_type.add(name=message)
        for name, number, kind, repeated, type_name in fields:
            made.field.add(name=name, number=number, type=kind,
                           label=3 if repeated else 1, type_name=type_name)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return [factory.GetPrototype(
        pool.FindMessageTypeByName(f"{package}.{message}"))
        for message in described]


_Request, _Response = _messages("istio.v1.auth", {
    "IstioCertificateRequest": [
        ("csr", 1, _STRING, False, None),
        ("validity_duration", 3, _INT64, False, None),
        ("metadata", 4, _MESSAGE, False, ".google.protobuf.Struct")],
    "IstioCertificateResponse": [("cert_chain", 1, _STRING, True, None)]})
_HealthRequest, _HealthResponse = _messages("grpc.health.v1", {
    "HealthCheckRequest": [("service", 1, _STRING, False, None)],
    "HealthCheckResponse": [("status", 1, _INT32, False, None)]})


class CaClient:
    """One channel. `svid`: (certificate, key) in PEM to show in the handshake;
    a CA that asks for none never sees it. `name`: in the CA's certificate, if
    it is not the address's."""

    def __init__(self, address, roots, svid=(None, None), name=None):
        credentials = grpc.ssl_channel_credentials(
            root_certificates=roots.encode(),
            certificate_chain=svid[0] and svid[0].encode(),
            private_key=svid[1] and svid[1].encode())
        # A channel of its own, not one shared behind our back.
        self._channel = grpc.secure_channel(address, credentials, options=[
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_retries", 0),
            *([("grpc.ssl_target_name_override", name)] if name else [])])
        self._create = self._channel.unary_unary(
            _METHOD, _Request.SerializeToString, _Response.FromString)
        self._health = self._channel.unary_unary(
            "/grpc.health.v1.Health/Check", _HealthRequest.SerializeToString,
            _HealthResponse.FromString)

    def ask(self, csr, token=None, impersonated=None, seconds=0, timeout=20,
            cluster=None):
        """("OK", [PEM…]) or (code, words)."""
        request = _Request(csr=csr, validity_duration=seconds)
        if impersonated is not None:
            request.metadata["ImpersonatedIdentity"] = impersonated
        metadata = [("authorization", f"Bearer {token}")] if token else []
        if cluster is not None:
            metadata.append(("clusterid", cluster))
        try:
            answer = self._create(request, metadata=metadata, timeout=timeout)
        except grpc.RpcError as error:
            return error.code().name, error.details()
        return "OK", list(answer.cert_chain)

    def health(self, service=""):
        """1: SERVING, 2: NOT_SERVING."""
        return self._health(_HealthRequest(service=service), timeout=10).status

    def close(self):
        self._channel.close()


def main(address, roots, csr, token, threads):
    """Asks on several connections, again and again until SIGTERM, and prints
    every answer as a line of JSON."""
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    printing = threading.Lock()
    with open(roots, encoding="ascii") as file:
        roots = file.read()
    with open(csr, encoding="ascii") as file:
        csr = file.read()

    def ask():
        client = CaClient(address, roots)
        # Together below what a CA takes from one address in the long run.
        while not end.wait(_PACE * int(threads)):
            line = json.dumps(client.ask(csr, token))
            with printing:
                print(line, flush=True)
        client.close()
    asking = [threading.Thread(target=ask) for _ in range(int(threads))]
    for thread in asking:
        thread.start()
    end.wait()
    for thread in asking:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
