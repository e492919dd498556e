# SPDX-License-Identifier: Apache-2.0
"""A peer's agent that shares no code with nodeward and misbehaves on demand.

    fake_agent.py CA_FOLDER FOLDER POD_IP MODE

Listens on POD_IP:15008 as spiffe://cluster.local/ns/full/sa/server and prints
"listening", then a line for each CONNECT. Echoes, but:

    echo        does nothing else
    goaway      answers its first connection's first stream with GOAWAY(0)
    refuse      refuses its very first stream
    drop        closes its first connection at its first stream
    status      answers 401
    one         takes one stream a connection
    deaf        never answers anything, PINGs neither
    reset       resets each stream after its first bytes
    end         ends each stream after its first bytes
"""
import os
import socket
import ssl
import sys
import threading

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../peers"))
import identity  # noqa: E402

CA, FOLDER, POD, MODE = sys.argv[1:5]
STREAMS = 0


def on_request(engine, event, tls):
    """False: the connection is to be closed."""
    global STREAMS
    STREAMS += 1
    headers = dict(event.headers)
    print(headers[":method"], headers[":authority"],
          headers.get("forwarded", "-"), headers.get("baggage", "-"),
          flush=True)
    first = STREAMS == 1
    if MODE == "goaway" and first:
        engine.close_connection(last_stream_id=0)
        tls.sendall(engine.data_to_send())
        return False
    if MODE == "drop" and first:
        return False
    if MODE == "refuse" and first:
        engine.reset_stream(event.stream_id,
                            h2.errors.ErrorCodes.REFUSED_STREAM)
    elif MODE == "status":
        engine.send_headers(event.stream_id, [(":status", "401")],
                            end_stream=True)
    elif MODE != "deaf":
        engine.send_headers(event.stream_id, [(":status", "200")])
    return True


def on_data(engine, event):
    engine.acknowledge_received_data(event.flow_controlled_length,
                                     event.stream_id)
    if MODE == "reset":
        engine.reset_stream(event.stream_id,
                            h2.errors.ErrorCodes.CONNECT_ERROR)
        return
    engine.send_data(event.stream_id, event.data, end_stream=MODE == "end")


def serve(tls):
    engine = h2.connection.H2Connection(h2.config.H2Configuration(
        client_side=False, header_encoding="utf-8",
        validate_inbound_headers=False))
    if MODE == "one":
        engine.local_settings = h2.settings.Settings(
            client=False, initial_values={
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1})
    engine.initiate_connection()
    tls.sendall(engine.data_to_send())
    while data := tls.recv(65536):
        if MODE == "deaf":
            continue
        for event in engine.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                if not on_request(engine, event, tls):
                    tls.close()
                    return
            elif isinstance(event, h2.events.DataReceived):
                on_data(engine, event)
            elif isinstance(event, h2.events.StreamEnded) and MODE != "end":
                engine.end_stream(event.stream_id)
        tls.sendall(engine.data_to_send())


def quietly(tls):
    try:
        serve(tls)
    except OSError:
        pass


def main():
    who = identity.issue(CA, FOLDER, "spiffe://cluster.local/ns/full/sa/server",
                         "agent")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(who.certificate, who.key)
    context.load_verify_locations(who.roots)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    listener = socket.create_server((POD, 15008))
    print("listening", flush=True)
    while True:
        connection, _ = listener.accept()
        try:
            tls = context.wrap_socket(connection, server_side=True)
        except OSError as error:
            print("handshake", error, flush=True)
            continue
        threading.Thread(target=quietly, args=(tls,), daemon=True).start()


main()
