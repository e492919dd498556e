#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A kubelet as far as probes go: listens on 10250 and probes when asked.

GET /probe?url=http://IP:PORT/PATH or tcp://IP:PORT [&port=SOURCE PORT]
answers {"result": 200}, {"result": "open"} or {"result": "what went wrong"}.
"""
import http.client
import http.server
import json
import socket
import struct
import urllib.parse


def probe(url, source_port):
    parts = urllib.parse.urlsplit(url)
    family = socket.AF_INET6 if ":" in parts.hostname else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(5)
        if source_port:
            # No TIME_WAIT: the port is wanted again at once.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                              struct.pack("ii", 1, 0))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.bind(("", source_port))
        try:
            client.connect((parts.hostname, parts.port))
            if parts.scheme == "tcp":
                return "open"
            connection = http.client.HTTPConnection(parts.hostname, parts.port)
            connection.sock = client
            connection.request("GET", parts.path or "/",
                               headers={"User-Agent": "kube-probe/1.34"})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        result = probe(query["url"][0], int(query["port"][0]))
        body = json.dumps({"result": result}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6  # [::], both families


server = Server(("::", 10250), Handler)
print("listening", flush=True)
server.serve_forever()
