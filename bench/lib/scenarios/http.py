# SPDX-License-Identifier: Apache-2.0
from lib.scenarios.base import ALL_SYSTEMS, Metric, Scenario, Skip
from lib.tools import HTTP_AWARE_PORT, HTTP_PORT, fetch

CONNECTIONS = 32
_LATENCIES = ("p50", "p90", "p99")


class Http(Scenario):
    """wrk with 32 keep-alive connections, nginx with a file of 1 KB; to the
    mesh the port is plain bytes."""

    name = "http"
    title = "HTTP/1.1 keep-alive as bytes, 32 connections"
    port = HTTP_PORT
    metrics = (Metric("rate", "1/s", True),
               *(Metric(name, "µs") for name in _LATENCIES),
               Metric("cpu each", "µs"))

    def measure(self, bench, system):
        before = system.cpu_seconds()
        found = bench.tools.wrk(
            system, f"http://{system.server.ip}:{self.port}/1k",
            bench.plan.seconds, CONNECTIONS)
        values = {name: found[name] for name in ("rate", *_LATENCIES)}
        if system.proxies():
            spent = system.cpu_seconds() - before
            values["cpu each"] = \
                spent / (found["rate"] * bench.plan.seconds) * 1e6
        return values


class HttpAware(Http):
    """The same where the proxy reads HTTP and sets XFCC."""

    name = "http-aware"
    title = "HTTP/1.1 keep-alive with HTTP awareness, 32 connections"
    port = HTTP_AWARE_PORT
    systems = tuple("envoy-http" if name == "envoy" else name
                    for name in ALL_SYSTEMS if name != "haproxy")
    sidecar = "envoy-http"

    def measure(self, bench, system):
        if system.encrypts:
            header = fetch(system,
                           f"http://{system.server.ip}:{self.port}/xfcc")
            if "spiffe://" not in header:
                raise Skip("it sets no X-Forwarded-Client-Cert: not aware of "
                           "HTTP in this build")
        return super().measure(bench, system)
