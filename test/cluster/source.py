#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Agents that follow a real API server: what happens there happens in the mesh,
and what does not, does not."""
import re
import time

from kube.lab import Lab, of

# pylint: disable=wrong-import-order
from harness import await_that, main, policy, run

MARK = "ambient.istio.io/redirection"
SECURITY = "security.istio.io"
MANY = 2000


def enrolled(s, lab):
    """The mesh as it is in the API."""
    lab.namespace("mesh", {"nodeward.io/mesh": "enabled"})
    lab.namespace("legacy")
    server = lab.pod("mesh/server", "node-b", ports={"http": 80},
                     annotations={"nodeward.io/netns": "/run/netns/none"})
    client = lab.pod("mesh/client", "node-a")
    legacy = lab.pod("legacy/client", "node-a", annotations={MARK: "enabled"})
    lab.cluster.start_agents()
    lab.cluster.await_enrolled(server, client)
    s.check("a pod that did not opt in",
            legacy.node.agent.pod_states()["legacy/client"][0], "skipped")
    for pod in (server, client):
        await_that("its agent marks it", lambda pod=pod: lab.annotations(
            pod).get(MARK) == "enabled")
    server.serve_web(80)
    url = f"http://{server.ip4}/"
    await_that("through the mesh", lambda: client.curl(url).code == 200
               and client.node.agent.edge(client, server) == "√")
    s.check("without a policy in plaintext, too", str(legacy.curl(url)),
            "200, exit 0")
    s.that("an annotation that names a namespace has no effect, and that is "
           "told", "nodeward.io~1netns: has no effect" in
           server.node.agent.status().stdout)
    s.check("a mark in a template is no opt-in, and is nobody's to take away",
            lab.annotations(legacy).get(MARK), "enabled")
    return server, client, legacy, url


def in_streams(s, lab):
    """Everything that is served is told in streams; nothing is listed."""
    asked = lab.plane.asked()
    streams = {uri.partition("?")[0].rpartition("/")[2]
               for verb, uri, status in asked
               if verb == "watch" and status == 200
               and "sendInitialEvents=true" in uri}
    s.check("what a stream began with", sorted(streams),
            ["endpointslices", "namespaces", "networkpolicies", "pods",
             "services"])
    s.check("what was listed", [uri for verb, uri, status in asked
                                if verb == "list" and status == 200], [])


def kinds_come_later(s, lab, legacy, url):
    lab.crd("PeerAuthentication", SECURITY, "peerauthentications")
    strict = policy("mesh", "STRICT")
    path = f"/apis/{SECURITY}/v1/namespaces/mesh/peerauthentications"
    await_that("the kind is served", lambda: lab.api.ask(
        "POST", path, strict)[0] == 201, 60, 0.2)
    await_that("STRICT counts, though the kind was installed later",
               lambda: legacy.curl(url).exit == 56, 60, 0.2)
    lab.api.call("PATCH", f"{path}/default", {"spec": {"mtls": {
        "mode": "PERMISSIVE"}}}, "application/merge-patch+json")
    await_that("changed", lambda: legacy.curl(url).code == 200)
    lab.api.call("PATCH", f"{path}/default", {"spec": {"mtls": {
        "mode": "STRICT"}}}, "application/merge-patch+json")
    await_that("changed back", lambda: legacy.curl(url).exit == 56)
    s.that("policies come, change and go on", True)


def live(s, lab, legacy, server):
    """Opting in and out under running pods."""
    agent = legacy.node.agent
    lab.label("legacy", _="enabled")
    agent.await_state(legacy, "enrolled")
    url = f"http://{server.ip4}/"
    await_that("a label brings a pod in",
               lambda: legacy.curl(url).code == 200
               and agent.edge(legacy, server) == "√")
    await_that("with our mark", lambda: lab.annotations(
        legacy).get("nodeward.io/redirection") == "enabled")
    lab.label("legacy", _=None)
    agent.await_state(legacy, "skipped")
    s.check("and out, and STRICT refuses it", legacy.curl(url).exit, 56)
    await_that("its mark is taken off",
               lambda: MARK not in lab.annotations(legacy))

    late = lab.pod("mesh/late", "node-a", sandbox=False)
    agent.await_state(late, "pending")
    s.check("a pod waits until the runtime has its namespace",
            agent.pod_states()["mesh/late"][1],
            "the container runtime has not told its network namespace yet")
    began = time.monotonic()
    lab.tell_sandboxes("node-a", **{late.uid: {
        "netns": f"/proc/{agent.pid}/ns/net", "ips": [late.ip4]}})
    await_that("the node's own namespace is refused",
               lambda: "it is the node's own" in
               agent.pod_states()["mesh/late"][1])
    lab.tell_sandboxes("node-a", **{late.uid: {
        "id": "again", "netns": f"/run/netns/{late.netns}",
        "ips": [late.ip4]}})
    agent.await_state(late, "enrolled")
    s.note(f"found and enrolled {time.monotonic() - began:.1f} s later")
    lab.delete(late)
    await_that("a deleted pod is forgotten",
               lambda: "mesh/late" not in agent.pod_states())


def unmarked(s, lab, client, server):
    """A pod that no agent has enrolled is spoken to in plaintext, and in no
    other way once one has."""
    agent = client.node.agent
    dark = lab.pod("mesh/dark", "node-b", sandbox=False)
    dark.serve_web(80)
    url = f"http://{dark.ip4}/"
    await_that("one that is not enrolled is reached in plaintext",
               lambda: client.curl(url).code == 200)
    path = "/api/v1/namespaces/mesh/pods/dark/status"
    change = "application/merge-patch+json"
    lab.api.call("PATCH", path, {"metadata": {"annotations": {
        MARK: "enabled"}}}, change)
    await_that("once marked it is spoken to by HBONE alone",
               lambda: client.curl(url).outcome == "refused")
    lab.api.call("PATCH", path, {"metadata": {"annotations": {MARK: None}}},
                 change)
    again = lab.pod("mesh/again", "node-b")
    again.serve_web(80)
    dark.node.agent.await_state(again, "enrolled")
    await_that("later news has arrived", lambda: client.curl(
        f"http://{again.ip4}/").code == 200
        and agent.edge(client, again) == "√")
    s.check("whoever takes the mark away", client.curl(url).outcome, "refused")
    lab.delete(dark)
    lab.delete(again)
    s.check("the others are reached as before",
            str(client.curl(f"http://{server.ip4}/")), "200, exit 0")


def problems(lab, name="node-a"):
    return [each["reason"] for each in
            lab.cluster.nodes[name].agent.status_json()["problems"]]


def outage(s, lab, client, legacy, server, url):
    lab.plane.apiserver.kill()
    await_that("it is told that the API server is gone",
               lambda: any("stays in force" in each for each in problems(lab)))
    s.check("data goes on", str(client.curl(url)), "200, exit 0")
    s.check("policy too", legacy.curl(url).exit, 56)
    node = client.node
    ready = node.run("curl", "--silent", "http://127.0.0.1:15021/healthz/ready",
                     "--write-out", "%{http_code}", check=False)
    s.that("an agent that serves is ready", ready.stdout.endswith("200"))
    # One that starts now knows nothing, and opens nothing.
    server.node.agent.kill()
    server.node.agent.start()
    s.that("one that starts now is not ready", not
           server.node.agent.status_json()["ready"])
    s.that("and its pods are closed", legacy.curl(url).exit in (7, 55, 56)
           and client.curl(url).outcome == "refused")
    lab.plane.start_apiserver()
    await_that("it is back", lambda: not problems(lab), 120, 0.2)
    lab.cluster.await_enrolled(server, client)
    await_that("all is as before", lambda: client.curl(url).code == 200, 60)
    s.check("also for those outside", legacy.curl(url).exit, 56)


def forgotten(s, lab, client):
    """etcd forgets what a watch would go on from."""
    agent = client.node.agent
    lab.plane.apiserver.kill()
    await_that("cut off", lambda: problems(lab))
    run(*client.node.enter("/usr/bin/python3", "-c", _COMPACT))
    lab.plane.start_apiserver()
    await_that("it is followed again", lambda: not problems(lab), 120, 0.2)
    lab.label("legacy", _="enabled")
    agent.await_state(lab.cluster.pods["legacy/client"], "enrolled")
    lab.label("legacy", _=None)
    agent.await_state(lab.cluster.pods["legacy/client"], "skipped")
    s.that("a compacted etcd is listed anew", True)


# Writes past what is known, then compacts to there, through etcd's JSON door.
_COMPACT = """
import base64, json, urllib.request
def ask(path, body):
    request = urllib.request.Request("http://127.0.0.1:2379/v3/" + path,
                                     json.dumps(body).encode())
    return json.load(urllib.request.urlopen(request))
key = base64.b64encode(b"/none").decode()
for number in range(50):
    revision = ask("kv/put", {"key": key, "value": key})["header"]["revision"]
ask("kv/compaction", {"revision": revision, "physical": True})
"""


def tokens(s, lab):
    for name in lab.cluster.nodes:
        lab.renew_token(name)
    path = f"{lab.cluster.nodes['node-a'].folder}/token"
    with open(path, "w", encoding="ascii") as file:
        file.write("spoilt")
    lab.plane.apiserver.kill()
    lab.plane.start_apiserver()
    await_that("a bad token is told",
               lambda: any("401" in each for each in problems(lab)), 120, 0.2)
    lab.renew_token("node-a")
    await_that("a renewed one is read", lambda: not problems(lab), 120, 0.2)
    s.that("tokens are read anew", True)


def resident(agent):
    with open(f"/proc/{agent.pid}/smaps_rollup", encoding="ascii") as file:
        return int(re.search(r"Pss_Anon: +(\d+)", file.read())[1]) * 1024


def many(s, lab):
    agent = lab.cluster.nodes["node-a"].agent
    before = resident(agent)
    lab.namespace("many")
    lab.account("many", "app")
    lab.create_all(lab.object_of(
        f"many/app-{number}", "node-b",
        [f"10.250.{number >> 8}.{number & 255}"], account="app",
        labels={"app": f"app-{number % 20}"}) for number in range(MANY))
    await_that("all are known", lambda: agent.command(
        "policy", "test", "--from", "cluster.local/ns/many/sa/app", "--to",
        f"many/app-{MANY - 1}", "--port", "80").returncode == 0, 60, 0.5)
    each = (resident(agent) - before) / MANY
    s.note(f"{each / 1024:.2f} KB of memory for each of {MANY} pods of others")
    if not s.sanitizer:
        s.that("which is little", each < 4096)


def leave(s, lab, client, legacy, url):
    """SIGTERM while the DaemonSet stands, and when it is gone."""
    for node in lab.cluster.nodes.values():
        node.agent.config["source"]["kubernetes"]["daemonset"] = \
            "nodeward-system/nodeward-agent"
        node.agent.stop()
    s.that("stopped while nothing says that it is uninstalled: closed",
           legacy.curl(url).exit != 0)
    s.check("marks stay", lab.annotations(client).get(MARK), "enabled")
    labels = {"app": "agent"}
    daemonset = of("DaemonSet", "nodeward-agent", "nodeward-system", "apps/v1",
                   spec={"selector": {"matchLabels": labels}, "template": {
                       "metadata": {"labels": labels}, "spec": {"containers": [
                           {"name": "agent", "image": "example.org/a:1"}]}}})
    path = "/apis/apps/v1/namespaces/nodeward-system/daemonsets"
    lab.api.call("POST", path, daemonset)
    lab.cluster.start_agents()
    server = lab.cluster.pods["mesh/server"]
    lab.cluster.await_enrolled(server, client)
    server.node.agent.stop()
    s.that("stopped while it stands: closed", legacy.curl(url).exit != 0)
    server.node.agent.start()
    lab.cluster.await_enrolled(server)
    lab.api.call("DELETE", f"{path}/nodeward-agent")
    for node in lab.cluster.nodes.values():
        node.agent.stop()
    s.check("uninstalled: plaintext again", [
        str(pod.curl(url)) for pod in (client, legacy)], ["200, exit 0"] * 2)
    for pod in (client, server):
        s.check("no mark is left", MARK in lab.annotations(pod), False)
        s.check("nor anything on its node",
                pod.node.agent.uninstall().stdout.strip(),
                "Nothing to remove.")


def scenario(s):
    lab = Lab(s.cluster())
    try:
        lab.start()
        server, client, legacy, url = enrolled(s, lab)
        in_streams(s, lab)
        kinds_come_later(s, lab, legacy, url)
        live(s, lab, legacy, server)
        unmarked(s, lab, client, server)
        outage(s, lab, client, legacy, server, url)
        forgotten(s, lab, client)
        tokens(s, lab)
        many(s, lab)
        leave(s, lab, client, legacy, url)
    except Exception:
        print(lab.plane.logs())
        raise
    finally:
        lab.stop()


if __name__ == "__main__":
    main(scenario)
