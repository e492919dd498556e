#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The main job, step by step; daemonset/demo installs, builds and calls it."""
import argparse
import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../test/netns"))
# pylint: disable=wrong-import-position
from harness import Capture, await_that, run  # noqa: E402
from harness.mariadb import query  # noqa: E402
from harness.process import Process  # noqa: E402
from database import Database  # noqa: E402
from stage import Stage  # noqa: E402
from terminal import Terminal  # noqa: E402

URL = "http://httpbin.mtls-test:8000/headers"
STRICT = """\
apiVersion: security.istio.io/v1beta1
kind: PeerAuthentication
metadata:
  name: httpbin
  namespace: mtls-test
spec:
  selector:
    matchLabels:
      app: httpbin
  mtls:
    mode: STRICT
"""
# As the Istio document has it; `mtls-test` is its namespace there, too.
DENY = """\
apiVersion: security.istio.io/v1beta1
kind: AuthorizationPolicy
metadata:
  name: httpbin.mtls-test.svc.cluster.local
  namespace: mtls-test
spec:
  action: DENY
  rules:
  - from:
    - source:
        principals: ["cluster.local/ns/full/sa/sleep"]
    to:
    - operation:
        methods: ["GET"]
  selector:
    matchLabels:
      app: httpbin
"""
PIPELINE = ("curl " + URL + " -s -w 'response code: %{http_code}\\n' | "
            "egrep -o 'URI\\=spiffe.*sa/[a-z]*|response.*$'")


class MainJob:
    """Each method is one section of the show."""

    def __init__(self, stage, terminal):
        self.stage, self.terminal = stage, terminal
        self.cluster = stage.cluster
        self.step = terminal.step
        self.wire = Capture(stage.node_b.netns, "eth0",
                            f"{self.cluster.folder}/wire.pcap")
        self.mesh_markers = []

    def run_all(self):
        self.agents()
        self.permissive()
        self.sessions()
        self.strict()
        self.requests()
        self.tap()
        Database(self.stage, self.terminal, self.mesh_markers).run()
        self.probes()
        self.permissive_again()
        self.without_dnat()
        self.killed()
        self.looks()

    # --- tools -----------------------------------------------------------------

    def ask(self, pod, url=URL, *options, timeout=10):
        """One curl from a pod, with a marker string of its own in the request;
        markers of meshed pods must never be seen on the wire."""
        marker = f"marker-{pod.namespace}-{time.monotonic_ns()}-nodeward"
        if pod.namespace != "legacy":
            self.mesh_markers.append(marker)
        reply = pod.curl(url, "-H", f"X-Marker: {marker}", *options,
                         timeout=timeout)
        reply.marker = marker
        return reply

    def show(self, pod, expected, url=URL, *options):
        reply = self.ask(pod, url, *options)
        how = " ".join([url.split("/")[2], *options])
        self.step(f"{pod.name}.{pod.namespace} → {how}", expected, str(reply))
        return reply

    def show_pipeline(self, pod, code, named):
        """The Istio document's own command, in the pod; what it prints."""
        done = pod.run("sh", "-c", PIPELINE, check=False)
        uri = f"URI=spiffe://cluster.local/ns/{pod.namespace}/sa/sleep, "
        self.step(f"{pod.name}.{pod.namespace} to httpbin.mtls-test",
                  (uri if named else "") + f"response code: {code}",
                  ", ".join(done.stdout.splitlines()))

    def timed(self, what, pod, wanted):
        """How long from now until `pod` sees `wanted`."""
        begin = time.monotonic()
        try:
            await_that(what, lambda: str(self.ask(pod)) == wanted, 20, 0)
        except TimeoutError:
            self.step(what, wanted, str(self.ask(pod)))
            return
        self.terminal.within(what, 1, time.monotonic() - begin)

    def show_edge(self, source, destination, expected):
        agent = destination.node.agent
        try:
            await_that("the edge", lambda: agent.edge(source, destination)
                       == expected, 5)
        except TimeoutError:
            pass
        self.step(f"edge {source.name}.{source.namespace} → "
                  f"{destination.name}.{destination.namespace}, secured",
                  expected, agent.edge(source, destination))

    def show_unseen(self):
        """The control first: what legacy sends can be read on the wire."""
        marker = self.ask(self.stage.legacy).marker
        try:
            await_that("the marker of legacy on the wire",
                       lambda: self.wire.holds(marker), 5)
        except TimeoutError:
            pass
        self.step("wire: the marker that legacy sent can be read", True,
                  self.wire.holds(marker))
        self.show_no_mesh_marker()

    def show_no_mesh_marker(self):
        seen = [one for one in self.mesh_markers if self.wire.holds(one)]
        self.step(f"wire: of {len(self.mesh_markers)} markers that meshed pods "
                  "sent, readable", 0, len(seen))

    # --- sections --------------------------------------------------------------

    def agents(self):
        self.terminal.section("an agent on each node")
        for node in (self.stage.node_a, self.stage.node_b):
            node.agent.launch()
        for node in (self.stage.node_a, self.stage.node_b):
            node.agent.await_answer()
        self.cluster.await_enrolled(*self.stage.meshed_pods())
        self.step("meshed pods enrolled, none restarted",
                  len(self.stage.meshed_pods()),
                  sum(state == "enrolled"
                      for agent in self.cluster.agents()
                      for state, _ in agent.pod_states().values()))
        self.step("agents that started at once: certificates under one root",
                  "OK, OK", ", ".join(self._verify(pod) for pod in (
                      self.stage.full, self.stage.httpbin)))

    def _verify(self, pod):
        """Does the certificate that `pod` shows on 15008 verify against the
        one root in the CA's folder?"""
        shown = self.stage.legacy.run(
            "openssl", "s_client", "-connect", f"{pod.ip4}:15008",
            "-alpn", "h2", stdin="", check=False).stdout
        done = run("openssl", "verify", "-CAfile",
                   f"{self.cluster.ca}/ca.crt", stdin=shown, check=False)
        return (done.stdout + done.stderr).split()[-1]

    def permissive(self):
        stage = self.stage
        self.terminal.section("PERMISSIVE: no policy at all")
        for pod in (stage.meshed, stage.full, stage.legacy):
            self.show(pod, "200, exit 0")
        self.terminal.show(PIPELINE + "\n")
        self.show_pipeline(stage.meshed, 200, named=True)
        self.show_pipeline(stage.full, 200, named=True)
        self.show_pipeline(stage.legacy, 200, named=False)
        self.show(stage.neighbour, "200, exit 0")
        self.show(stage.full, "200, exit 0", URL, "--ipv6")
        self.show(stage.full, "200, exit 0",
                  f"http://{stage.httpbin.ip4}:80/headers")
        self.show_edge(stage.meshed, stage.httpbin, "√")
        self.show_edge(stage.full, stage.httpbin, "√")
        self.show_edge(stage.legacy, stage.httpbin, "plaintext")
        self.show_unseen()
        reply = self.ask(stage.full, URL.replace("headers", "ip"), "--ipv4")
        self.step("httpbin sees the address of the client's pod",
                  stage.full.ip4, json.loads(reply.body)["origin"]
                  .removeprefix("::ffff:"))

    def sessions(self):
        stage = self.stage
        self.terminal.section("other protocols: Redis, and MariaDB, whose "
                              "server speaks first")
        for pod in (stage.full, stage.legacy):
            self.step(f"MariaDB session of {pod.name}.{pod.namespace}: "
                      "SELECT 6 * 7", "42", query(pod, "mariadb.mtls-test"))
            done = pod.run("redis-cli", "-h", "redis.mtls-test", "incr",
                           pod.namespace, check=False)
            self.step(f"Redis session of {pod.name}.{pod.namespace}: INCR",
                      "1", (done.stdout or done.stderr).strip())
        self.show_edge(stage.full, stage.mariadb, "√")
        self.show_edge(stage.legacy, stage.mariadb, "plaintext")

    def strict(self):
        stage = self.stage
        self.terminal.section("STRICT: a PeerAuthentication dropped into the "
                              "directory")
        self.terminal.show(STRICT)
        held = self._hold(stage.legacy)
        kept = self._hold(stage.full)
        self.cluster.apply("strict.yaml", STRICT)
        begin = time.monotonic()
        ended = self._await_end(held)
        self.terminal.within("legacy's open plaintext connection is closed",
                             1, ended - begin)
        self.timed("sleep.legacy is refused: 000, exit 56", stage.legacy,
                   "000, exit 56")
        self.show(stage.meshed, "200, exit 0")
        self.show(stage.full, "200, exit 0")
        self.show(stage.legacy, "000, exit 56")
        self.show(stage.legacy, "000, exit 56",
                  f"http://{stage.httpbin.ip4}:80/headers")
        self.show(stage.legacy, "000, exit 56", URL, "--ipv6")
        self.step("the open connection of sleep.full goes on", "200",
                  self._request(kept))
        kept.close()
        self.show_pipeline(stage.meshed, 200, named=True)
        self.show_pipeline(stage.full, 200, named=True)
        self.show_pipeline(stage.legacy, "000", named=False)

    def requests(self):
        stage = self.stage
        self.terminal.section("an AuthorizationPolicy that asks for the HTTP "
                              "method")
        self.terminal.show(DENY)
        kept = self._hold(stage.full)
        self.cluster.apply("deny.yaml", DENY)
        self.timed("sleep.full is denied: 403", stage.full, "403, exit 0")
        self.show_pipeline(stage.meshed, 200, named=True)
        self.show_pipeline(stage.legacy, "000", named=False)
        self.show_pipeline(stage.full, 403, named=False)
        self.step("what sleep.full reads", "RBAC: access denied",
                  self.ask(stage.full).body)
        self.step("its open connection is asked again, and stays: 403, 403",
                  "403, 403", ", ".join(self._request(kept) for _ in "12"))
        kept.close()
        self.show(stage.full, "200, exit 0", URL.replace("headers", "post"),
                  "-d", "not=GET")
        forged = "X-Forwarded-Client-Cert: URI=spiffe://cluster.local/ns/a/sa/b"
        reply = self.ask(stage.meshed, URL, "-H", forged)
        self.step("a forged certificate in the request", "replaced",
                  "replaced" if "ns/a/sa/b" not in reply.body and
                  "ns/mtls-test/sa/sleep" in reply.body else reply.body)
        self.cluster.remove("deny.yaml")
        self.timed("the policy removed: 200", stage.full, "200, exit 0")

    def tap(self):
        stage = self.stage
        self.terminal.section("nodeward tap: one request as both agents see it")
        path = f"/get?tap={time.monotonic_ns()}"
        taps = {}
        for node in (stage.node_a, stage.node_b):
            log = f"{self.cluster.folder}/tap-{node.name}.log"
            taps[node] = Process(node.enter(
                self.cluster.binary, "tap", "--path", "/get?tap=",
                "--run-dir", node.agent.run_dir), log)

        def seen():
            """Until both look, what is asked passes unseen."""
            self.ask(stage.full, URL.replace("/headers", path))
            return all(path in tap.output() for tap in taps.values())
        await_that("both taps see a request", seen, 20)
        for node, tap in taps.items():
            await_that("its end", lambda tap=tap: "end id=" in tap.output(), 5)
            tap.signal(signal.SIGINT)
            status = tap.wait(20)
            lines = tap.output().splitlines()
            self.terminal.show("\n".join(lines[:3]))
            proxy = "out" if node is stage.node_a else "in "
            self.step(f"{node.name}: request, answer, end, all by mutual TLS",
                      "req, rsp, end",
                      ", ".join(line.split()[0] for line in lines[:3]
                                if f" proxy={proxy} " in line
                                and " tls=true " in line))
            self.step(f"{node.name}: exit status after Ctrl-C", 0, status)

    def _hold(self, pod):
        """A connection to httpbin that has seen one answer and stays open."""
        client = pod.connect(self.stage.httpbin_vip, 8000)
        answer = self._request(client)
        if answer != "200":
            raise RuntimeError(f"{pod.full_name} asked httpbin: {answer}")
        return client

    @staticmethod
    def _request(client):
        try:
            client.sendall(b"GET /status/200 HTTP/1.1\r\nHost: httpbin\r\n\r\n")
            return client.recv(65536).decode().split()[1]
        except (OSError, IndexError) as error:
            return str(error)

    @staticmethod
    def _await_end(client):
        try:
            while client.recv(65536):
                pass
        except OSError:
            pass
        client.close()
        return time.monotonic()

    def probes(self):
        stage = self.stage
        pod = stage.httpbin
        self.terminal.section("STRICT: the kubelet's probes pass, and nothing "
                              "else does")
        probe = stage.node_b.probe
        self.step("kubelet, declared probe port 80", 200,
                  probe(f"http://{pod.ip4}:80/headers"))
        self.step("kubelet, the same over IPv6", 200,
                  probe(f"http://[{pod.ip6}]:80/headers"))
        self.step("kubelet, port 9090, which is no probe port",
                  "ConnectionResetError",
                  probe(f"http://{pod.ip4}:9090/headers"))
        other = stage.node_b.run(
            "curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{local_ip}",
            "--max-time", "10", f"http://{pod.ip4}:80/headers", check=False)
        code, _, source = other.stdout.partition(" ")
        self.step("another process of the node, same source address "
                  f"{source}", "000, exit 56",
                  f"{code}, exit {other.returncode}")
        self.step("legacy through a NodePort, masqueraded to that address",
                  "000, exit 56", str(self.ask(
                      stage.legacy,
                      f"http://{stage.node_b.wire4}:30080/headers")))

    def permissive_again(self):
        stage = self.stage
        self.terminal.section("the policy removed again")
        self.cluster.remove("strict.yaml")
        self.timed("sleep.legacy is let in: 200", stage.legacy, "200, exit 0")
        self.show(stage.meshed, "200, exit 0")
        self.show(stage.full, "200, exit 0")
        self.step("the NodePort, masqueraded", "200, exit 0", str(self.ask(
            stage.legacy, f"http://{stage.node_b.wire4}:30080/headers")))

    def without_dnat(self):
        stage = self.stage
        self.terminal.section("virtual addresses of meshed pods: the agent's "
                              "own work")
        stage.node_a.remove_cluster_ips()
        try:
            self.show(stage.full, "200, exit 0")
            self.show(stage.meshed, "200, exit 0")
            reply = self.ask(stage.legacy, URL, timeout=2)
            self.step("sleep.legacy, without the node's DNAT", "no answer",
                      str(reply) if reply.code else "no answer")
        finally:
            self.cluster.restore_cluster_ips()

    def killed(self):
        stage = self.stage
        self.terminal.section("the agents killed with SIGKILL, under STRICT")
        self.cluster.apply("strict.yaml", STRICT)
        self.timed("STRICT again", stage.legacy, "000, exit 56")
        before = stage.program_ids()
        for agent in self.cluster.agents():
            agent.kill()
        self.show(stage.legacy, "000, exit 7")
        for pod in (stage.full, stage.meshed):
            reply = self.ask(pod)
            self.step(f"{pod.name}.{pod.namespace} fails closed",
                      "no answer", str(reply) if reply.code else "no answer")
        self.show_no_mesh_marker()
        self.terminal.note("started again")
        for agent in self.cluster.agents():
            agent.launch()
        self.timed("sleep.full: 200", stage.full, "200, exit 0")
        self.timed("sleep.mtls-test: 200", stage.meshed, "200, exit 0")
        self.timed("sleep.legacy is refused: 000, exit 56", stage.legacy,
                   "000, exit 56")
        for agent in self.cluster.agents():
            agent.await_answer()
        self.step("kubelet, declared probe port 80", 200, stage.node_b.probe(
            f"http://{stage.httpbin.ip4}:80/headers"))
        self.step("programs and namespaces of the pods", "untouched",
                  "untouched" if stage.program_ids() == before else "changed")

    def looks(self):
        self.terminal.section("nodeward edges, nodeward status")
        for agent in self.cluster.agents():
            for command in ("edges", "status"):
                done = agent.command(command)
                self.terminal.note(f"{agent.node.name}: nodeward {command}")
                self.terminal.show(done.stdout + done.stderr)
                self.step(f"{agent.node.name}: nodeward {command}, exit status",
                          0, done.returncode)
        self.wire.stop()
        self.show_no_mesh_marker()


def how_to_look_round(stage, terminal):
    cluster = stage.cluster
    terminal.section("still running; Ctrl-C clears it away")
    for agent in cluster.agents():
        terminal.show(f"""
# {agent.node.name}
{cluster.binary} status --run-dir {agent.run_dir}
{cluster.binary} edges --run-dir {agent.run_dir} -o wide
nsenter --net=/run/netns/{agent.node.netns} curl -s 127.0.0.1:15020/metrics
less {agent.log_path()}""")
    terminal.show("\n# pods")
    for pod in stage.pods():
        terminal.show(f"nsenter --net=/run/netns/{pod.netns} bash"
                      f"   # {pod.full_name}, {pod.ip4}, {pod.ip6}")
    terminal.show(f"""
# a pod with the cluster's names, as kubectl exec would give it
{" ".join(f"'{w}'" if " " in w else w for w in stage.full.enter(
    "curl", "-si", URL))}
# policies: drop YAML here
{cluster.manifests}""")
    while True:
        signal.pause()


def interrupted(number, _frame):
    raise SystemExit(128 + number)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--no-color", action="store_true")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    begin = time.monotonic()
    terminal = Terminal(not arguments.no_color)
    terminal.section("two nodes, pods on both")
    stage = None
    try:
        stage = Stage(arguments.binary, terminal)
        job = MainJob(stage, terminal)
        job.run_all()
        if arguments.keep:
            terminal.verdict()
            how_to_look_round(stage, terminal)
    except (RuntimeError, OSError, KeyError, ValueError) as error:
        terminal.step("the show goes on to its end", "no error", str(error))
        if stage:
            for agent in stage.cluster.agents():
                terminal.note(f"{agent.node.name}: the end of its log")
                terminal.show("\n".join(agent.log().splitlines()[-30:]))
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        terminal.section("clearing away")
        if stage:
            clear_away(stage, terminal)
        terminal.verdict()
        print(f"{time.monotonic() - begin:.1f} s in all", flush=True)
    sys.exit(1 if terminal.failures else 0)


def clear_away(stage, terminal):
    prefix = stage.cluster.prefix
    try:
        stage.close()
        left = [line for line in run("ip", "netns").stdout.split()
                if line.startswith(prefix)]
        left += [at for at in (stage.cluster.folder, stage.cluster.cgroup)
                 if os.path.exists(at)]
    except (RuntimeError, OSError) as error:
        left = [str(error)]
    terminal.step("namespaces, cgroups, pins, processes left", "none",
                  "\n".join(left) or "none")


if __name__ == "__main__":
    main()
