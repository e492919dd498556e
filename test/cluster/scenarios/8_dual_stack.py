# SPDX-License-Identifier: Apache-2.0
"""Pods with two addresses, Services of either family and of both, NodePorts and
the kubelet's probes over IPv6."""
import json
import os
import re
import socket

from harness.capture import Capture
from harness.entering import entered
from harness.packets import Sniffer, ipv6, syn
from harness.process import await_that, run
from mesh import (BOTH_FAMILIES, SYSTEM, account, deployment,
                  peer_authentication)

ONLY_WITH_ALL = True
NODE_PORT = 30182
# A recording without packets.
EMPTY = 24
PLUGIN = "nodeward-cni"


def service(name, app="httpbin", **spec):
    return {"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "dual"},
            "spec": {"selector": {"app": app}, "ports": [
                {"name": "http", "port": 8000, "targetPort": 80}], **spec}}


def addresses(mesh, namespace, app):
    """[IPv4, IPv6], as URLs have them."""
    pod = mesh.cluster.get("pods", "-n", namespace, "-l", f"app={app}")[0]
    found = [one["ip"] for one in pod["status"]["podIPs"]]
    return sorted((f"[{ip}]" if ":" in ip else ip for ip in found),
                  key=lambda ip: ip[0] == "[")


def ways(mesh):
    """{what: curl's words} by which httpbin is reached."""
    four, six = addresses(mesh, "dual", "httpbin")
    vips = mesh.cluster.get("service", "six-first", "-n", "dual")[0]["spec"][
        "clusterIPs"]
    return {
        "a Service of IPv4": ["http://httpbin.dual:8000"],
        "a Service of IPv6": ["http://six.dual:8000"],
        "a Service of both, IPv4": ["http://both.dual:8000", "-4"],
        "a Service of both, IPv6": ["http://both.dual:8000", "-6"],
        "ClusterIP, IPv6": [f"http://[{vips[0]}]:8000"],
        "ClusterIP, IPv4": [f"http://{vips[1]}:8000"],
        "headless, IPv6": ["http://headless.dual", "-6"],
        "the pod, IPv4": [f"http://{four}"],
        "the pod, IPv6": [f"http://{six}"]}


def link_local(mesh, app):
    """The address that its server has besides, which no API tells."""
    text = mesh.cluster.kubectl("exec", "-n", "dual", f"deploy/{app}", "--",
                                "/bin/busybox", "cat", "/proc/net/if_inet6"
                                ).stdout
    for line in text.splitlines():
        if line.startswith("fe80") and line.split()[-1] == "eth0":
            return ":".join(re.findall("....", line[:32]))
    raise RuntimeError(f"{app} has no link-local address:\n{text}")


def settled(ask, expected):
    try:
        await_that("settled", lambda: ask() == expected, 30, 0.3)
    except TimeoutError:
        pass
    return ask()


def all_ways(mesh, namespace, app, expected):
    """What comes of all, if not the same of each."""
    found = ways(mesh)

    def ask():
        seen = {what: mesh.outcome(namespace, app, url + "/ip", *words)
                for what, (url, *words) in found.items()}
        return expected if set(seen.values()) == {expected} else seen
    return settled(ask, expected)


def scenario(s, mesh):
    prepare(mesh)
    permissive(s, mesh)
    on_the_wire(s, mesh)
    strict(s, mesh)
    policy(s, mesh)
    unknown(s, mesh)
    required(s, mesh)
    api_server(s, mesh)
    kubelet(s, mesh)


def prepare(mesh):
    mesh.ready()
    mesh.namespace("dual", **{"nodeward.io/mesh": "enabled"})
    mesh.namespace("legacy")
    mesh.httpbin("dual", node="node-b", command=BOTH_FAMILIES)
    mesh.httpbin("dual", "old", node="node-b")
    mesh.cluster.apply(
        service("both", ipFamilyPolicy="RequireDualStack", type="NodePort",
                ports=[{"name": "http", "port": 8000, "targetPort": 80,
                        "nodePort": NODE_PORT}]),
        service("six", ipFamilies=["IPv6"]),
        service("six-first", ipFamilyPolicy="PreferDualStack",
                ipFamilies=["IPv6", "IPv4"]),
        service("headless", clusterIP="None",
                ipFamilyPolicy="RequireDualStack",
                ports=[{"name": "http", "port": 80}]))
    mesh.sleep("dual", node="node-a")
    mesh.sleep("dual", "near", node="node-b")
    mesh.sleep("legacy", node="node-a")
    mesh.cluster.apply(account("host", "legacy"), deployment(
        "host", "legacy", node="node-b", pod={"hostNetwork": True}))
    for namespace, app in (("dual", "httpbin"), ("dual", "old"),
                           ("dual", "sleep"), ("dual", "near"),
                           ("legacy", "sleep"), ("legacy", "host")):
        mesh.cluster.await_pods(namespace, f"app={app}")
    for app in ("httpbin", "old", "sleep", "near"):
        mesh.await_state("dual", app, "enrolled")


def permissive(s, mesh):
    for namespace, app in (("dual", "sleep"), ("dual", "near"),
                           ("legacy", "sleep")):
        s.check(f"PERMISSIVE, {namespace}/{app}", all_ways(
            mesh, namespace, app, "200"), "200")
    for what, (url, *words) in ways(mesh).items():
        s.that(f"who calls is told: {what}",
               "spiffe://cluster.local/ns/dual/sa/sleep" in mesh.body(
                   "dual", "sleep", url + "/headers", *words))


def strict(s, mesh):
    mesh.cluster.apply(peer_authentication("dual", "STRICT"))
    for namespace, app, expected in (
            ("dual", "sleep", "200"), ("dual", "near", "200"),
            ("legacy", "sleep", "refused")):
        s.check(f"STRICT, {namespace}/{app}", all_ways(
            mesh, namespace, app, expected), expected)
    other_ways(s, mesh)
    # It listens on 0.0.0.0.
    four, six = addresses(mesh, "dual", "old")
    s.check("a server of IPv4 alone", [mesh.outcome(
        "dual", "sleep", f"http://{ip}/ip") for ip in (four, six)],
        ["200", "refused"])


def other_ways(s, mesh):
    """Into it from outside of the mesh, over IPv6."""
    six = addresses(mesh, "dual", "httpbin")[1]
    port = f"http://[{mesh.cluster.b.address6}]:{NODE_PORT}"
    neighbour = f"http://[{link_local(mesh, 'httpbin')}%cni0]"
    for mode, expected in (("PERMISSIVE", "200"), ("STRICT", "refused")):
        mesh.cluster.apply(peer_authentication("dual", mode))
        for what, app, url in (
                ("a hostNetwork pod of its node", "host", f"http://{six}"),
                ("the same, to its link-local address", "host", neighbour),
                ("a NodePort's client", "sleep", port)):
            s.check(f"{mode}, {what}, IPv6", settled(
                lambda one=app, to=url: mesh.outcome(
                    "legacy", one, to + "/ip"), expected), expected)


def on_the_wire(s, mesh):
    """Between the nodes, IPv6 alone."""
    cluster = mesh.cluster
    six = addresses(mesh, "dual", "httpbin")[1]
    capture = Capture(cluster.a.netns, "eth0", f"{cluster.folder}/wire.pcap",
                      "ip6 and tcp")
    try:
        for app, namespace in (("sleep", "dual"), ("sleep", "legacy")):
            s.check(f"seen of {namespace}", (
                mesh.outcome(namespace, app,
                             f"http://{six}/anything/said-by-{namespace}"),
                capture.holds(f"said-by-{namespace}")),
                ("200", namespace == "legacy"))
    finally:
        capture.stop()

    def packets(expression):
        return len(run("tcpdump", "-n", "-r", capture.path, expression
                       ).stdout.splitlines())
    client = addresses(mesh, "dual", "sleep")[1].strip("[]")
    s.that("its tunnel", packets(f"src host {client} and dst port 15008"))
    s.check("else to the pod", packets(
        f"src host {client} and dst host {six.strip('[]')} "
        "and not dst port 15008"), 0)


def policy(s, mesh):
    """By the source's address, of one family."""
    six = addresses(mesh, "dual", "sleep")[1].strip("[]")
    found = ways(mesh)

    def seen():
        return {four_or_six: mesh.outcome(
            "dual", "sleep", found[f"the pod, {four_or_six}"][0] + "/ip")
            for four_or_six in ("IPv4", "IPv6")}
    mesh.cluster.apply({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": {"name": "by-address", "namespace": "dual"},
        "spec": {"action": "DENY", "rules": [
            {"from": [{"source": {"ipBlocks": [f"{six}/128"]}}]}]}})
    expected = {"IPv4": "200", "IPv6": "403"}
    s.check("an ipBlocks rule of IPv6", settled(seen, expected), expected)
    mesh.cluster.kubectl("delete", "-n", "dual", "authorizationpolicy", "--all")
    expected = {"IPv4": "200", "IPv6": "200"}
    s.check("without it", settled(seen, expected), expected)


class Wire:
    """Where a node's packets arrive."""

    def __init__(self, node):
        self._node = node

    def open_socket(self, *kind):
        with entered(self._node.netns):
            return socket.socket(*kind)


def unknown(s, mesh):
    """meshCIDRs: nobody has this address."""
    cluster = mesh.cluster
    nobody = cluster.b.pod_cidr6.replace("::/64", "::dead")
    capture = Capture(cluster.b.netns, "eth0", f"{cluster.folder}/held.pcap",
                      f"ip6 host {nobody} and tcp")
    try:
        s.check("an unknown destination", mesh.outcome(
            "dual", "sleep", f"http://[{nobody}]/"), "refused")
        s.check("sent to it", os.path.getsize(capture.path), EMPTY)
        mesh.curl("legacy", "sleep", f"http://[{nobody}]/", "-m", "1")
        await_that("from outside of the mesh it is seen",
                   lambda: os.path.getsize(capture.path) > EMPTY)
    finally:
        capture.stop()


def required(s, mesh):
    """No plaintext over IPv6, by the kernel, from a pod that must not."""
    cluster = mesh.cluster
    mesh.namespace("careful", **{"nodeward.io/mesh": "enabled",
                                 "nodeward.io/outbound": "require-mtls"})
    mesh.httpbin("careful", "client", node="node-b")
    cluster.await_pods("careful", "app=client")
    mesh.await_state("careful", "client", "enrolled")
    target = addresses(mesh, "dual", "sleep")[1].strip("[]")

    def send(namespace, app, port, to_port):
        """A SYN by hand."""
        source = addresses(mesh, namespace, app)[1].strip("[]")
        packet = ipv6(source, target, syn(source, target, port, to_port))
        cluster.kubectl(
            "exec", "-n", namespace, f"deploy/{app}", "--", "/usr/bin/python3",
            "-c", "import socket\n"
            "raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 255)\n"
            f"raw.sendto(bytes.fromhex('{packet.hex()}'), ('{target}', 0))")
    beside_it(s, mesh)
    with Sniffer(Wire(cluster.a)) as sniffer:
        send("careful", "client", 42000, 80)
        # Behind it on the same way.
        send("careful", "client", 42001, 15008)
        s.that("a SYN to the tunnels' port", sniffer.awaits(42001))
        s.check("a SYN to the pod", 42000 in sniffer.ports, False)
        cluster.kubectl("label", "namespace", "careful",
                        "nodeward.io/outbound-")

        def passes():
            send("careful", "client", 42002, 80)
            return 42002 in sniffer.ports
        s.that("without the label", await_that("it passes", passes, 30, 0.5))


def beside_it(s, mesh):
    """To a pod of its own node, by the address that nobody lists."""
    mesh.cluster.apply(peer_authentication("dual", "PERMISSIVE"))
    url = f"http://[{link_local(mesh, 'httpbin')}%eth0]/ip"
    s.check("from a pod that may", settled(lambda: mesh.outcome(
        "dual", "near", url), "200"), "200")
    s.check("from one that may not", mesh.cluster.kubectl(
        "exec", "-n", "careful", "deploy/client", "--", "/usr/bin/python3",
        "-c", "import urllib.request\ntry:\n urllib.request.urlopen("
        f"'{url}', timeout=5)\n print('served')\nexcept OSError:\n "
        "print('refused')").stdout.strip(), "refused")
    mesh.cluster.apply(peer_authentication("dual", "STRICT"))


def api_server(s, mesh):
    """At an IPv6 address."""
    cluster = mesh.cluster
    server = f"https://[{cluster.a.address6}]:6443"
    path = f"{cluster.folder}/six.kubeconfig"
    with open(cluster.plane.kubeconfig("admin"), encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(cluster.plane.server, server))

    def check():
        return run("nsenter", f"--net=/run/netns/{cluster.a.netns}",
                   cluster.binary, "check", "--kubeconfig", path, check=False)
    await_that("all is well", lambda: check().returncode == 0, 60, 1)
    s.check("nodeward check by an API server at IPv6",
            check().stdout.splitlines()[-1], "Status check results are √")
    s.that("the CNI plugin there, without an agent: of the mesh",
           "is of the mesh" in plugin(mesh, server, "dual", "httpbin"))
    s.that("and not of it", '"ips"' in plugin(mesh, server, "legacy", "host"))


def plugin(mesh, server, namespace, app):
    """What the plugin says where no agent answers and nothing was noted."""
    node = mesh.cluster.b
    folder = "/etc/cni/net.d"
    config = f"{mesh.cluster.folder}/plugin.kubeconfig"
    with open(config, "w", encoding="utf-8") as file:
        json.dump(json.loads(node.run("cat", f"{folder}/{PLUGIN}.kubeconfig"
                                      ).stdout), file)
    node.run("sed", "-i", f"s|https://[^\"]*|{server}|", config)
    entry = {"cniVersion": "0.4.0", "name": "pods", "type": PLUGIN,
             "socket": "/nobody", "kubeconfig": config, "namespaces": "/none",
             "agentNamespace": SYSTEM, "prevResult": {
                 "cniVersion": "0.4.0", "ips": [
                     {"version": "6", "address": "fd46:0:0:2::aaaa/64"}]}}
    pod = mesh.cluster.get("pods", "-n", namespace, "-l", f"app={app}")[0][
        "metadata"]
    return node.run(
        "env", "CNI_COMMAND=ADD", "CNI_CONTAINERID=one", "CNI_IFNAME=eth0",
        "CNI_NETNS=/run/netns/one", "CNI_PATH=/opt/cni/bin",
        f"CNI_ARGS=K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={pod['name']};"
        f"K8S_POD_UID={pod['uid']}", f"/opt/cni/bin/{PLUGIN}",
        stdin=json.dumps(entry), check=False).stdout


def kubelet(s, mesh):
    """A node whose first address is IPv6, so that of its pods, too."""
    cluster = mesh.cluster
    cluster.b.restart_kubelet(cluster.plane, six_first=True)
    try:
        await_addresses(cluster, "fd89::2")
        six_first(s, mesh)
    finally:
        replace_ca_service(cluster, {})
        cluster.b.restart_kubelet(cluster.plane)
    await_addresses(cluster, "10.89.0.2")
    s.check("IPv4 first again", all_ways(mesh, "dual", "sleep", "200"), "200")


def await_addresses(cluster, first):
    def there():
        node = cluster.get("node", "node-b")[0]
        return cluster.ready_nodes() and node["status"]["addresses"][0][
            "address"] == first
    await_that(f"node-b is {first}", there, 90, 0.5)


def exempted(mesh):
    return json.loads(mesh.ask("node-b", "status", "-o", "json").stdout)[
        "counters"]["probe_exempted"]


def replace_ca_service(cluster, families):
    """The agents' way to their CA; what helm made is of one family."""
    service_of_ca = cluster.get("service", "nodeward-ca", "-n", SYSTEM)[0]
    for name in ("uid", "resourceVersion", "creationTimestamp"):
        service_of_ca["metadata"].pop(name)
    for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        service_of_ca["spec"].pop(name)
    service_of_ca["spec"] |= families
    cluster.kubectl("replace", "--force", "-f", "-",
                    stdin=json.dumps(service_of_ca))


def six_first(s, mesh):
    cluster = mesh.cluster
    often = {"periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 3}
    probes = {"http": {"httpGet": {"path": "/status/200", "port": 80}},
              "tcp": {"tcpSocket": {"port": 80}}}
    for name, probe in probes.items():
        probe |= often
        mesh.httpbin("dual", f"probed-{name}", node="node-b",
                     command=BOTH_FAMILIES, livenessProbe=probe,
                     readinessProbe=probe)
    found = {name: cluster.await_pods("dual", f"app=probed-{name}")[0]
             for name in probes}
    s.check("first addresses of new pods", {
        ":" in pod["status"]["podIP"] for pod in found.values()}, {True})
    for name in probes:
        mesh.await_state("dual", f"probed-{name}", "enrolled")
        s.check(f"probed by {name}, STRICT", settled(lambda one=name: (
            mesh.outcome("legacy", "sleep", "http://" + addresses(
                mesh, "dual", f"probed-{one}")[1])), "refused"), "refused")
    before = exempted(mesh)
    await_that("twenty probes more", lambda: exempted(mesh) >= before + 20, 60,
               1)
    for name in probes:
        pod = cluster.get("pods", "-n", "dual", "-l", f"app=probed-{name}")[0]
        s.check(f"its restarts, {name}", sum(
            one["restartCount"] for one in pod["status"]["containerStatuses"]),
            0)
    replace_ca_service(cluster, {"ipFamilies": ["IPv6"]})
    for app in ("agent", "ca"):
        label = f"app.kubernetes.io/name=nodeward-{app}"
        cluster.kubectl("delete", "pod", "-n", SYSTEM, "-l", label,
                        "--field-selector=spec.nodeName=node-b", "--wait=false")
        pods = cluster.await_pods(SYSTEM, label, 2)
        s.that(f"the {app} is probed at IPv6", any(
            ":" in pod["status"]["podIP"] for pod in pods))
    for namespace, expected in (("dual", "200"), ("legacy", "refused")):
        s.check(f"and {namespace}/sleep", all_ways(
            mesh, namespace, "sleep", expected), expected)
