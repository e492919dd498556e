# SPDX-License-Identifier: Apache-2.0
"""API server and CA at IPv6 addresses, and the kubelet's probes on a node whose
first address is IPv6."""
import json

from dual import addresses, all_ways, prepare, settled
from harness.process import await_that, run
from mesh import BOTH_FAMILIES, SYSTEM, peer_authentication

ONLY_WITH_ALL = True
PLUGIN = "nodeward-cni"


def scenario(s, mesh):
    prepare(mesh)
    mesh.cluster.apply(peer_authentication("dual", "STRICT"))
    api_server(s, mesh)
    kubelet(s, mesh)


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
    probes = {"http": {"httpGet": {"path": "/status/200", "port": 80}},
              "tcp": {"tcpSocket": {"port": 80}}}
    for name, probe in probes.items():
        often = probe | {"periodSeconds": 1, "timeoutSeconds": 5}
        mesh.httpbin("dual", f"probed-{name}", node="node-b",
                     command=BOTH_FAMILIES, readinessProbe=often,
                     livenessProbe=often | {"initialDelaySeconds": 5,
                                            "failureThreshold": 5})
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
