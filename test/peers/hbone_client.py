# SPDX-License-Identifier: Apache-2.0
"""An HBONE client that shares no code with nodeward: Python's ssl and h2.

    tunnels = Tunnels(socket, identity)      TLS 1.3, ALPN h2, HTTP/2
    stream = tunnels.connect("10.0.0.1:80")  CONNECT; stream.status
    stream.send(b"…"); stream.receive(100); stream.finish()
"""
import ssl

import h2.config
import h2.connection
import h2.events
import h2.settings


class Stream:
    """One CONNECT stream; made by Tunnels.connect()."""

    def __init__(self, tunnels, number):
        self.tunnels, self.number = tunnels, number
        self.status = None
        self.headers = {}
        self.data = b""
        self.ended = False  # END_STREAM has come
        self.reset = None   # the error code of RST_STREAM

    def send(self, data):
        """All of it, as the windows open."""
        engine = self.tunnels.engine
        while data:
            room = min(engine.local_flow_control_window(self.number),
                       engine.max_outbound_frame_size)
            if room == 0:
                if self.reset is not None:
                    raise ConnectionResetError(f"stream {self.reset}")
                self.tunnels.pump()
                continue
            engine.send_data(self.number, data[:room])
            data = data[room:]
            self.tunnels.flush()

    def finish(self):
        """Half-close."""
        self.tunnels.engine.end_stream(self.number)
        self.tunnels.flush()

    def abort(self):
        self.tunnels.engine.reset_stream(self.number, 8)
        self.tunnels.flush()

    def receive(self, wanted):
        """Until `wanted` bytes are there or the stream has ended."""
        while len(self.data) < wanted and not self.ended \
                and self.reset is None:
            self.tunnels.pump()
        data, self.data = self.data[:wanted], self.data[wanted:]
        return data


class Tunnels:
    """One HTTP/2 connection over one TLS connection."""

    def __init__(self, connection, identity=None, alpn=("h2",),
                 read_credit=True):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(list(alpn))
        if identity:
            context.load_cert_chain(identity.certificate, identity.key)
            if identity.roots:
                context.load_verify_locations(identity.roots)
                context.verify_mode = ssl.CERT_REQUIRED
        self.tls = context.wrap_socket(connection)
        self.read_credit = read_credit
        self.streams = {}
        self.gone_away = False
        self.engine = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True,
                                      header_encoding="utf-8",
                                      validate_outbound_headers=False))
        self.engine.initiate_connection()
        self.flush()

    def peer_identity(self):
        """The URI SANs of the server's certificate."""
        certificate = self.tls.getpeercert()
        return [value for kind, value in certificate["subjectAltName"]
                if kind == "URI"]

    def connect(self, authority, method="CONNECT", headers=(), wait=True):
        number = self.engine.get_next_available_stream_id()
        stream = self.streams[number] = Stream(self, number)
        fields = [(":method", method), (":authority", authority)]
        if method != "CONNECT":
            fields += [(":scheme", "https"), (":path", "/")]
        self.engine.send_headers(number, [*fields, *headers])
        self.flush()
        while wait and stream.status is None and stream.reset is None:
            self.pump()
        return stream

    def flush(self):
        self.tls.sendall(self.engine.data_to_send())

    def pump(self):
        """Takes in what the peer has sent next."""
        data = self.tls.recv(65536)
        if not data:
            raise ConnectionResetError("the peer has ended the connection")
        for event in self.engine.receive_data(data):
            self._handle(event)
        self.flush()

    def _handle(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ConnectionTerminated):
            self.gone_away = True
        elif stream is None:
            return
        elif isinstance(event, h2.events.ResponseReceived):
            stream.headers = dict(event.headers)
            stream.status = int(stream.headers[":status"])
        elif isinstance(event, h2.events.DataReceived):
            stream.data += event.data
            if self.read_credit:
                self.engine.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.reset = event.error_code

    def close(self):
        self.tls.close()
