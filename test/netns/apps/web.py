#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""web.py PORT…: HTTP on every port, both families; answers the client's IP."""
import http.server
import socket
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = (self.client_address[0].removeprefix("::ffff:") + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 1024
    daemon_threads = True


for port in sys.argv[1:]:
    server = Server(("::", int(port)), Handler)
    threading.Thread(target=server.serve_forever).start()
print("listening", flush=True)
