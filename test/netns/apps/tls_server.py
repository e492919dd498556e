# SPDX-License-Identifier: Apache-2.0
"""A TLS server as databases are: wants a client certificate of its CA, answers
whoever has one with the certificate's subject, then with what it gets.

tls_server.py PORT PEM CA [--tls12] [--anybody]
"""
import socket
import ssl
import sys
import threading


def context(pem, ca, options):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pem)
    made.load_verify_locations(ca)
    if "--anybody" not in options:
        made.verify_mode = ssl.CERT_REQUIRED
    if "--tls12" in options:
        made.maximum_version = ssl.TLSVersion.TLSv1_2
    names = []
    made.set_servername_callback(
        lambda connection, name, _: names.append((connection, name)))
    made.names = names
    return made


def serve(plain, made):
    try:
        with made.wrap_socket(plain, server_side=True) as connection:
            subject = connection.getpeercert().get("subject", ()) \
                if made.verify_mode == ssl.CERT_REQUIRED else ()
            words = [value for part in subject for _, value in part]
            name = next((n for c, n in made.names if c is connection), None)
            connection.sendall(
                f"{connection.version()} {' '.join(words) or '-'} {name}\n"
                .encode())
            while data := connection.recv(65536):
                connection.sendall(data)
            connection.unwrap()
    except (OSError, ssl.SSLError) as error:
        print(f"refused: {error}", flush=True)


def main():
    port, pem, ca = sys.argv[1:4]
    made = context(pem, ca, sys.argv[4:])
    listener = socket.create_server(("", int(port)), backlog=100)
    print("listening", flush=True)
    while True:
        plain, _ = listener.accept()
        threading.Thread(target=serve, args=(plain, made), daemon=True).start()


main()
