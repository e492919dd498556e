# SPDX-License-Identifier: Apache-2.0
"""HAProxy in the sidecars' places: the lean sidecar."""
from lib.systems.sidecar import (INBOUND_PORT, ONWARD_SOURCE, OUTBOUND_PORT,
                                 Sidecar)

# A server address of 0.0.0.0:0 means where the client wanted to go.
_CONFIG = """
global
  nbthread 2
  maxconn {maxconn}
  ssl-default-bind-options ssl-min-ver TLSv1.3
  ssl-default-server-options ssl-min-ver TLSv1.3
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
frontend outbound
  bind 0.0.0.0:{outbound}
  {to_mesh}
  default_backend outside
backend mesh
  server peer 0.0.0.0:0 ssl verify required ca-file {root} crt {both} \
alpn istio
backend outside
  server any 0.0.0.0:0
frontend inbound
  bind 0.0.0.0:{inbound} ssl crt {both} ca-file {root} verify required \
alpn istio
  default_backend app
backend app
  source {onward}
  server app 0.0.0.0:0
"""


class HAProxy(Sidecar):
    name = "haproxy"

    def command(self, folder, side, peer):
        _, _, both = self._certificates[side]
        to_mesh = f"use_backend mesh if {{ dst {peer.ip} }}" if peer else ""
        config = folder / "haproxy.cfg"
        config.write_text(_CONFIG.format(
            maxconn=self.bench.descriptors // 2 - 100, root=
            self.bench.authority.root_file, both=both, to_mesh=to_mesh,
            outbound=OUTBOUND_PORT, inbound=INBOUND_PORT,
            onward=ONWARD_SOURCE))
        return ["haproxy", "-db", "-f", config]
