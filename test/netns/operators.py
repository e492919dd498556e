#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What operators see: edges, status, metrics, readiness, access log."""
import json
import os
import stat

from harness import await_that, broken, main, policy


def run(s):
    lab = s.trio(start=False)
    lab.server.probes = {"liveness": {"tcpSocket": {"port": 80}}}
    lab.publish(lab.server)
    lab.nodes["node-b"].start_kubelet()
    for agent in lab.agents():
        agent.config["log"] = {"level": "info", "format": "json"}
    lab.start_agents()
    lab.await_enrolled(lab.server, lab.client)
    lab.server.serve_web(80)
    url = f"http://{lab.vip4}:8000/"
    for pod in (lab.client, lab.legacy):
        s.check(f"{pod.full_name}", pod.curl(url).code, 200)
    agent = lab.nodes["node-b"].agent
    edges(s, lab, agent)
    status(s, lab, agent)
    metrics(s, lab, agent, url)
    access_log(s, lab, agent, url)
    readiness(s, lab, agent)
    network_policies(s, lab, agent)
    permissions(s, agent)


def edges(s, lab, agent):
    await_that("both edges are there", lambda: agent.edge(
        lab.client, lab.server) and agent.edge(lab.legacy, lab.server))
    table = agent.command("edges").stdout.splitlines()
    s.check("columns", table[0].split(),
            ["SRC", "DST", "SRC_NS", "DST_NS", "SECURED"])
    rows = {tuple(line.split()[:4]): line.split(None, 4)[4]
            for line in table[1:]}
    s.check("mesh", rows.get(("client", "server", "mesh", "mesh")), "√")
    s.check("legacy", rows.get(("client", "server", "legacy", "mesh")),
            "plaintext")
    wide = agent.command("edges", "-o", "wide").stdout
    s.that("wide has identities", "/ns/mesh/sa/client" in wide
           or "client.mesh" in wide)
    s.check("-n of another namespace: rows", len(agent.command(
        "edges", "-n", "nothing-here").stdout.splitlines()) <= 1, True)
    s.check("by NODEWARD_RUN_DIR", agent.node.run(
        "env", f"NODEWARD_RUN_DIR={agent.run_dir}", agent.binary,
        "edges").returncode, 0)


def status(s, lab, agent):
    pod = next(one for one in agent.status_json()["pods"]
               if one["name"] == "server")
    s.check("state", pod["state"], "enrolled")
    s.check("mode", pod["mtls"]["mode"], "PERMISSIVE")
    s.check("identity", pod["certificate"]["identity"],
            "spiffe://cluster.local/ns/mesh/sa/server")
    s.check("certificate", pod["certificate"]["state"], "valid")
    s.check("probe ports", (pod["probes"]["ports"], pod["probes"]["exempt"]),
            ([80], True))
    s.check("exit status", agent.status().returncode, 0)
    s.check("one pod", agent.status("-n", "mesh", "server").returncode, 0)
    s.that("no such pod", agent.status("-n", "mesh", "nobody").returncode)
    lab.apply("ports.yaml", policy("mesh", "STRICT", ports={81: "DISABLE"},
                                   selector={"app": "server"}))
    mode = await_that("the mode a port", lambda: (lambda mtls: mtls["mode"]
                      == "STRICT" and mtls)(agent.status_json()["pods"][0][
                          "mtls"]))
    s.check("ports that differ", mode["ports"], {"81": "DISABLE"})
    lab.remove("ports.yaml")
    lab.apply("other.yaml", {"apiVersion": "apps/v1", "kind": "Deployment",
                             "metadata": {"name": "x", "namespace": "mesh"}})
    s.check("a kind left alone", await_that(
        "it is shown", lambda: agent.status_json()["ignored_kinds"]),
        {"Deployment": 1})
    lab.remove("other.yaml")


def metrics(s, lab, agent, url):
    lab.client.curl(url)
    legacy = lab.legacy.connect(lab.server.ip4, 80)
    legacy.close()

    def find(name, **labels):
        return [value for key, value in agent.metrics().items()
                if key.startswith(name + "{") and all(
                    f'{label}="{want}"' in key
                    for label, want in labels.items())]
    for name in ("istio_tcp_connections_opened_total",
                 "istio_tcp_connections_closed_total",
                 "istio_tcp_received_bytes_total",
                 "istio_tcp_sent_bytes_total"):
        values = await_that(name, lambda one=name: find(
            one, reporter="destination", source_workload="client",
            source_workload_namespace="mesh", source_app="client",
            source_principal="spiffe://cluster.local/ns/mesh/sa/client",
            destination_workload="server", destination_service_name="server",
            destination_service=(
                "server.mesh.svc.cluster.local"),
            connection_security_policy="mutual_tls",
            request_protocol="tcp", response_flags="-"))
        s.that(f"{name}: {values}", sum(values) >= 1)
    s.that("plaintext is told apart", find(
        "istio_tcp_connections_opened_total", source_workload="client",
        source_workload_namespace="legacy",
        connection_security_policy="none"))
    names = agent.metrics()
    s.that("BPF verdicts", any(key.startswith("nodeward_bpf_verdicts_total")
                               for key in names))
    s.that("certificate expiry", any(
        key.startswith("nodeward_certificate_expiration") for key in names))
    s.check("/stats/prometheus", agent.get(15020, "/stats/prometheus")[0], 200)
    s.check("nothing else there", agent.get(15020, "/config")[0], 404)
    # The series of a pod that is gone go too.
    gone = lab.pod("legacy/gone", "node-a")
    gone.curl(url)
    await_that("its series", lambda: find(
        "istio_tcp_connections_opened_total", source_workload="gone"))
    lab.delete_pod(gone)
    s.that("series of a gone pod are dropped", await_that(
        "they go", lambda: not find("istio_tcp_connections_opened_total",
                                    source_workload="gone"), 30))


def access_log(s, lab, agent, url):
    lab.apply("strict.yaml", policy("mesh", "STRICT", name="locked"))
    await_that("refused", lambda: lab.legacy.curl(url).code == 0)
    lab.client.curl(url)

    def lines(**wanted):
        found = []
        for line in agent.log().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry.get("message") == "access" and all(
                    entry.get(key.replace("_", ".")) == value
                    for key, value in wanted.items()):
                found.append(entry)
        return found
    good = await_that("a line of mesh", lambda: lines(
        src_namespace="mesh", verdict="allowed"))[-1]
    s.check("both identities", (good["src.identity"], good["dst.identity"]),
            ("spiffe://cluster.local/ns/mesh/sa/client",
             "spiffe://cluster.local/ns/mesh/sa/server"))
    s.that("bytes and duration", good["bytes_sent"] > 50
           and good["bytes_recv"] > 50 and "duration" in good)
    bad = await_that("a line of legacy", lambda: lines(
        src_namespace="legacy", verdict="refused"))[-1]
    s.check("the policy that refused", bad["policy"], "mesh/locked")
    lab.remove("strict.yaml")


def readiness(s, lab, agent):
    s.check("ready", agent.ready(), True)
    lab.apply("broken.yaml", broken("broken"))
    await_that("not ready", lambda: not agent.ready())
    s.check("a broken policy that was never good closes",
            lab.client.curl(f"http://{lab.vip4}:8000/").code, 0)
    s.check("the kubelet still passes", lab.server.node.probe(
        f"http://{lab.server.ip4}:80/"), 200)
    problem = agent.status_json()["problems"][0]
    s.that(f"status says where: {problem}",
           problem["file"].endswith("broken.yaml") and problem["line"] > 0
           and "/spec/mtls/mode" in problem["reason"])
    s.check("exit status", agent.status().returncode, 1)
    lab.remove("broken.yaml")
    await_that("ready again", agent.ready)
    s.check("open again", lab.client.curl(f"http://{lab.vip4}:8000/").code,
            200)


def network_policies(s, lab, agent):
    """Those of the directory that would stop tunnels."""
    def told():
        done = agent.command("check", "-o", "json")
        return [check["error"] for category in json.loads(done.stdout)[
            "categories"] if category["categoryName"] == "nodeward-network"
                for check in category["checks"]]
    s.check("no NetworkPolicy", told(), ["", ""])
    lab.apply("network.yaml", {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "web", "namespace": "mesh"},
        "spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}})
    await_that("it is told", lambda: told() != ["", ""])
    s.check("a NetworkPolicy without 15008", told(), [
        "Some do not allow ingress at TCP 15008:\n\t* mesh/web selects "
        "mesh/server", ""])
    lab.remove("network.yaml")
    await_that("without it all is well", lambda: told() == ["", ""])


def permissions(s, agent):
    for path, mode in ((agent.run_dir, 0o700),
                       (f"{agent.run_dir}/control.sock", 0o600)):
        s.check(path.rsplit("/", 1)[1], oct(stat.S_IMODE(
            os.stat(path).st_mode)), oct(mode))
    os.chmod(agent.run_dir, 0o755)
    os.chmod(f"{agent.run_dir}/control.sock", 0o666)
    done = agent.node.run("setpriv", "--reuid=65534", "--clear-groups",
                          agent.binary, "status", "--run-dir", agent.run_dir,
                          check=False)
    s.that("another user is turned away, whatever the modes",
           done.returncode != 0 and "enrolled" not in done.stdout)


if __name__ == "__main__":
    main(run)
