// SPDX-License-Identifier: Apache-2.0
//
// An HBONE server that shares no code with nodeward: Node.js's own http2.
// node hbone_server.js KEY CERTIFICATE ROOTS: listens on [::]:15008, connects
// CONNECT streams to their authority, prints a line for each.
'use strict';
const fs = require('fs');
const http2 = require('http2');
const net = require('net');

const [key, cert, ca] = process.argv.slice(2).map((f) => fs.readFileSync(f));
const server = http2.createSecureServer({
  key, cert, ca,
  requestCert: true,
  rejectUnauthorized: true,
  minVersion: 'TLSv1.3',
  ALPNProtocols: ['h2'],
  settings: {maxConcurrentStreams: 10},
});

server.on('stream', (stream, headers) => {
  const authority = headers[':authority'];
  const peer = stream.session.socket.getPeerCertificate();
  console.log(headers[':method'], authority, peer.subjectaltname);
  stream.on('error', (error) => console.log('stream', error.code));
  if (headers[':method'] !== 'CONNECT') {
    stream.respond({':status': 400}, {endStream: true});
    return;
  }
  const colon = authority.lastIndexOf(':');
  const host = authority.slice(0, colon).replace(/[[\]]/g, '');
  const socket = net.connect({
    host, port: Number(authority.slice(colon + 1)), allowHalfOpen: true,
  });
  socket.on('connect', () => {
    stream.respond({':status': 200});
    socket.pipe(stream);
    stream.pipe(socket);
  });
  socket.on('error', (error) => {
    console.log('socket', error.code);
    if (stream.headersSent) {
      stream.close(http2.constants.NGHTTP2_CONNECT_ERROR);
    } else {
      stream.respond({':status': 503}, {endStream: true});
    }
  });
});
server.on('sessionError', (error) => console.log('session', error.code));
server.on('tlsClientError', (error) => console.log('tls', error.code));
server.listen(15008, '::', () => console.log('listening'));
