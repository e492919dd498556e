# SPDX-License-Identifier: Apache-2.0
"""The load: iperf3, wrk, nginx and nodeward-load, as servers in one pod and as
clients in another."""
import json

from lib.process import Failure, Process, await_that, listens

IPERF_PORT = 5201
ECHO_PORT = 7000
HTTP_PORT = 8080        # declared as plain bytes
HTTP_AWARE_PORT = 8081  # declared as HTTP
PORTS = (IPERF_PORT, ECHO_PORT, HTTP_PORT, HTTP_AWARE_PORT)

_NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
  sendfile on; tcp_nopush on; root {folder}/www;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi; default_type text/plain;
  server {{
    listen {plain} backlog=4096; listen {aware} backlog=4096;
    location = /xfcc {{ return 200 "$http_x_forwarded_client_cert\\n"; }}
  }}
}}
"""

# wrk hands its latencies only to Lua; `done` runs once, after the load.
_WRK_SCRIPT = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\n{"rate": %.2f, "p50": %.2f, "p90": %.2f, "p99": %.2f, ' ..
    '"p99.9": %.2f, "errors": %d}\\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50),
    latency:percentile(90), latency:percentile(99), latency:percentile(99.9),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


class Tools:
    """What the run's load is made with; `pod.cgroup` is honoured."""

    def __init__(self, workdir, load):
        self.workdir = workdir
        self.load = load  # the nodeward-load program
        self.wrk_script = workdir / "latency.lua"
        self.wrk_script.write_text(_WRK_SCRIPT)

    def serve(self, pod, cgroup=None, kinds=("iperf", "echo", "http")):
        """Starts the servers in the pod; returns their processes."""
        folder = self.workdir / pod.name
        folder.mkdir(exist_ok=True)
        servers = []

        def start(name, argv, *ports):
            process = Process(argv, folder / f"{name}.log", netns=pod.netns,
                              cgroup=cgroup)
            servers.append(process)
            for port in ports:
                await_that(f"{name} in {pod.name} on port {port}",
                           lambda: process.check() or
                           listens(pod.netns, port))

        if "iperf" in kinds:
            start("iperf3", ["iperf3", "-s", "-p", IPERF_PORT], IPERF_PORT)
        if "echo" in kinds:
            start("echo", [self.load, "serve", "--to", f"0.0.0.0:{ECHO_PORT}"],
                  ECHO_PORT)
        if "http" in kinds:
            self._make_site(folder)
            start("nginx", ["nginx", "-c", folder / "nginx.conf", "-e",
                            folder / "nginx-error.log"],
                  HTTP_PORT, HTTP_AWARE_PORT)
        return servers

    @staticmethod
    def _make_site(folder):
        (folder / "www").mkdir(exist_ok=True)
        (folder / "www" / "1k").write_text("x" * 1023 + "\n")
        for path in (folder, folder / "www"):
            path.chmod(0o755)
        (folder / "nginx.conf").write_text(_NGINX.format(
            folder=folder, plain=HTTP_PORT, aware=HTTP_AWARE_PORT))

    def iperf(self, system, address, seconds, streams=1, down=False):
        """Bits per second and bytes that arrived."""
        argv = ["iperf3", "-c", address, "-p", IPERF_PORT, "-J", "-t",
                seconds, "-P", streams]
        out = system.in_client(*argv, *(["-R"] if down else []),
                               timeout=seconds + 30)
        result = json.loads(out)
        if "error" in result:
            raise Failure(f"iperf3: {result['error']}")
        received = result["end"]["sum_received"]
        return received["bits_per_second"], received["bytes"]

    def wrk(self, system, url, seconds, connections):
        out = system.in_client(
            "wrk", "-t", 1, "-c", connections, "-d", f"{seconds}s", "-s",
            self.wrk_script, url, timeout=seconds + 30)
        line = [text for text in out.splitlines() if text.startswith("{")]
        if not line:
            raise Failure(f"wrk {url} printed no result: {out[-300:]}")
        result = json.loads(line[-1])
        if result["errors"]:
            raise Failure(f"wrk {url}: {result['errors']} errors")
        return result

    def measure(self, system, mode, address, port=ECHO_PORT, **options):
        """One run of nodeward-load in the system's client pod."""
        words = []
        for key, value in options.items():
            words += [f"--{key.replace('_', '-')}", value]
        out = system.in_client(self.load, mode, "--to", f"{address}:{port}",
                               *words, timeout=120)
        return json.loads(out.splitlines()[-1])


def fetch(system, url):
    """The body of one HTTP answer, asked from the client pod."""
    return system.in_client("curl", "-s", "--max-time", 10, url)
