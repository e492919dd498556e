// SPDX-License-Identifier: Apache-2.0
//
// h2_server.js PORT: HTTP/2 without TLS, by Node's own library.
//   /headers  what came, as JSON      /echo     the body, as it comes
//   /bytes/N  N bytes                 /sleeper  never reads the body
//   /hints    103, then 200           /reset    RST_STREAM(INTERNAL_ERROR)
//   /goaway   200, then GOAWAY        /session  which connection this is
'use strict';
const http2 = require('http2');

const WINDOW = 64 << 20;
const part = Buffer.alloc(16384, 'x');
let sessions = 0;

function pour(stream, left) {
  while (left > 0) {
    const more = stream.write(part.subarray(0, Math.min(left, part.length)));
    left -= Math.min(left, part.length);
    if (!more && left > 0) {
      stream.once('drain', () => pour(stream, left));
      return;
    }
  }
  stream.end();
}

function answer(stream, headers) {
  const path = headers[':path'];
  if (path === '/echo') {
    stream.respond({':status': 200}, {waitForTrailers: true});
    stream.on('wantTrailers', () => stream.sendTrailers({'x-end': 'yes'}));
    return stream.pipe(stream);
  }
  if (path === '/sleeper') return stream.pause();
  if (path === '/reset') {
    return stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  }
  if (path === '/hints') stream.additionalHeaders({':status': 103, link: '<s>'});
  stream.respond({':status': 200});
  if (path.startsWith('/bytes/')) return pour(stream, Number(path.slice(7)));
  if (path === '/headers') return stream.end(JSON.stringify(headers) + '\n');
  stream.end(`session ${stream.session.number}\n`);
  if (path === '/goaway') stream.session.close();
}

const server = http2.createServer({
  settings: {initialWindowSize: WINDOW}, maxSessionMemory: 1000});
server.on('session', (session) => {
  session.number = ++sessions;
  session.on('error', () => {});
  session.on('remoteSettings', () => session.setLocalWindowSize(WINDOW));
});
server.on('sessionError', () => {});
server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  answer(stream, headers);
});
server.listen(Number(process.argv[2]), '::', () => console.log('listening'));
