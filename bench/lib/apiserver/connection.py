# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 over TLS, of what a server of lists and watches needs."""
import asyncio
import collections
import fcntl
import socket
import struct
import termios
import urllib.parse

import h2.config
import h2.connection
import h2.events
import h2.exceptions

_FRAME = 16384
# In struct tcp_info: tcpi_bytes_acked and tcpi_bytes_received.
_TCP_INFO_BYTES = 120


class Request:
    def __init__(self, method, target, accept, body):
        self.method, self.accept, self.body = method, accept, body
        self.path, _, query = target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query))


class Answer:
    """One stream; what is sent waits for the client's window."""

    def __init__(self, connection, stream):
        self._connection, self.stream = connection, stream
        self.waiting = collections.deque()
        self.ended = False
        self.on_gone = None  # called when the client has left

    def head(self, status=200):
        self._connection.head(self, status)

    def send(self, data):
        self.waiting.append(memoryview(data))
        self._connection.pump(self)

    def end(self):
        self.ended = True
        self._connection.pump(self)

    def whole(self, status, data):
        self.head(status)
        self.waiting.append(memoryview(data))
        self.end()


class Connection(asyncio.Protocol):
    """`serve(request, answer)` is called for each request; `connections` has
    all of them; `closed` has the bytes (sent, received) of those that are no
    more."""

    def __init__(self, serve, connections, closed):
        self._serve, self._connections, self._closed = \
            serve, connections, closed
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=False, header_encoding="utf-8"))
        self._requests, self._answers = {}, {}
        self._transport = self._socket = None
        self._full = False
        self._bytes = (0, 0)

    # --- asyncio's side ------------------------------------------------------

    def connection_made(self, transport):
        self._transport = transport
        self._socket = transport.get_extra_info("socket")
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=1 << 20)
        self._connections.add(self)
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data):
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            self._transport.close()
            return
        for event in events:
            self._take(event)
        self._flush()
        self.bytes()

    def connection_lost(self, exc):
        self._connections.discard(self)
        self._closed.append(self.bytes())
        for answer in self._answers.values():
            if answer.on_gone:
                answer.on_gone()
        self._answers.clear()

    def pause_writing(self):
        self._full = True

    def resume_writing(self):
        self._full = False
        self._pump_all()

    # --- HTTP/2's ------------------------------------------------------------

    def _take(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self._requests[event.stream_id] = (dict(event.headers), [])
        elif isinstance(event, h2.events.DataReceived):
            self._requests[event.stream_id][1].append(event.data)
            self._h2.acknowledge_received_data(
                event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            headers, body = self._requests.pop(event.stream_id)
            answer = self._answers[event.stream_id] = Answer(
                self, event.stream_id)
            self._serve(Request(headers[":method"], headers[":path"],
                                headers.get("accept", ""), b"".join(body)),
                        answer)
        elif isinstance(event, h2.events.StreamReset):
            self._requests.pop(event.stream_id, None)
            gone = self._answers.pop(event.stream_id, None)
            if gone and gone.on_gone:
                gone.on_gone()
        elif isinstance(event, h2.events.WindowUpdated):
            self._pump_all()
        elif isinstance(event, h2.events.ConnectionTerminated):
            self._transport.close()

    def head(self, answer, status):
        self._h2.send_headers(answer.stream, [
            (":status", str(status)), ("content-type", "application/json"),
            ("cache-control", "no-cache, private"),
            ("audit-id", "0c2b8f4e-1d3a-4b5c-8e6f-7a9b0c1d2e3f")])

    def pump(self, answer):
        self._pump(answer)
        self._flush()

    def _pump_all(self):
        for answer in list(self._answers.values()):
            self._pump(answer)
        self._flush()

    def _pump(self, answer):
        if answer.stream not in self._answers:
            return
        waiting = answer.waiting
        while waiting and not self._full:
            window = self._h2.local_flow_control_window(answer.stream)
            size = min(window, _FRAME, len(waiting[0]))
            if size == 0 and len(waiting[0]) > 0:
                return
            self._h2.send_data(answer.stream, bytes(waiting[0][:size]))
            if size == len(waiting[0]):
                waiting.popleft()
            else:
                waiting[0] = waiting[0][size:]
            self._flush()
        if answer.ended and not waiting:
            self._h2.end_stream(answer.stream)
            del self._answers[answer.stream]

    def _flush(self):
        data = self._h2.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)

    # --- what is asked of it -------------------------------------------------

    def drained(self):
        """All that was to be sent has been acknowledged."""
        if any(answer.waiting for answer in self._answers.values()) or \
                self._transport.get_write_buffer_size():
            return False
        left = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4))
        return struct.unpack("i", left)[0] == 0

    def bytes(self):
        """(sent, received), as TCP counts them."""
        try:
            info = self._socket.getsockopt(socket.IPPROTO_TCP,
                                           socket.TCP_INFO, 160)
        except OSError:  # closed: as it was last
            return self._bytes
        self._bytes = struct.unpack_from("QQ", info, _TCP_INFO_BYTES)
        return self._bytes
