#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""AuthorizationPolicy on streams: who gets in by principal, namespace, address
and port; a change closes what it forbids, on both sides, and leaves the rest;
`policy test` on the running agent says the same."""
import time

from harness import await_that, main, policy

GOOD, REFUSED = "in", "refused"


def rule(source=None, operation=None):
    made = {}
    if source:
        made["from"] = [{"source": source}]
    if operation:
        made["to"] = [{"operation": operation}]
    return made


def authorization(action, *rules, name="policy", namespace="mesh"):
    return {"apiVersion": "security.istio.io/v1",
            "kind": "AuthorizationPolicy",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": {"matchLabels": {"app": "server"}},
                     "action": action, "rules": list(rules)}}


def run(s):
    lab = s.trio(start=False)
    lab.namespace("other", mesh="enabled")
    lab.other = lab.pod("other/client", "node-a")
    lab.start_agents()
    lab.await_enrolled(lab.server, lab.client, lab.other)
    lab.server.serve_web(80, 81)
    who_gets_in(s, lab)
    open_connections(s, lab)
    shown(s, lab)


def who_gets_in(s, lab):
    """Each policy, and what mesh/client, other/client and legacy/client get at
    the Service (port 80) and at port 81."""
    mesh = "cluster.local/ns/mesh/sa/client"
    rows = (
        ("no policy", (), (GOOD, GOOD, GOOD, GOOD)),
        ("DENY a principal",
         (authorization("DENY", rule({"principals": [mesh]})),),
         (REFUSED, GOOD, GOOD, REFUSED)),
        ("ALLOW a principal",
         (authorization("ALLOW", rule({"principals": [mesh]})),),
         (GOOD, REFUSED, REFUSED, GOOD)),
        ("ALLOW whoever has an identity",
         (authorization("ALLOW", rule({"principals": ["*"]})),),
         (GOOD, GOOD, REFUSED, GOOD)),
        ("DENY a namespace",
         (authorization("DENY", rule({"namespaces": ["other"]})),),
         (GOOD, REFUSED, GOOD, GOOD)),
        ("ALLOW an address",
         (authorization("ALLOW", rule({"ipBlocks": [lab.legacy.ip4]})),),
         (REFUSED, REFUSED, GOOD, REFUSED)),
        ("DENY a port of the pod",
         (authorization("DENY", rule(operation={"ports": ["80"]})),),
         (REFUSED, REFUSED, REFUSED, GOOD)),
        ("ALLOW a port of the pod",
         (authorization("ALLOW", rule(operation={"ports": ["80"]})),),
         (GOOD, GOOD, GOOD, REFUSED)),
        ("allow nothing", (authorization("ALLOW"),),
         (REFUSED, REFUSED, REFUSED, REFUSED)),
        ("DENY beats ALLOW",
         (authorization("ALLOW", {}, name="a"),
          authorization("DENY", rule({"namespaces": ["mesh"]}), name="b")),
         (REFUSED, GOOD, GOOD, REFUSED)),
        ("from the root namespace",
         (authorization("DENY", rule({"principals": [mesh]}),
                        namespace="istio-system"),),
         (REFUSED, GOOD, GOOD, REFUSED)),
        ("of another namespace",
         (authorization("DENY", {}, namespace="other"),),
         (GOOD, GOOD, GOOD, GOOD)),
        # Port 80 is declared tcp: there ALLOW with an HTTP attribute never
        # holds, and DENY leaves it out. Port 81 is not declared, so the policy
        # makes it HTTP.
        ("ALLOW a method",
         (authorization("ALLOW", rule(operation={"methods": ["GET"]})),),
         (REFUSED, REFUSED, REFUSED, GOOD)),
        ("DENY a principal's method",
         (authorization("DENY", rule({"principals": [mesh]},
                                     {"methods": ["POST"]})),),
         (REFUSED, GOOD, GOOD, GOOD)),
    )
    service = f"http://{lab.vip4}:8000/"
    direct = f"http://{lab.server.ip4}:81/"
    asked = ((lab.client, service), (lab.other, service),
             (lab.legacy, service), (lab.client, direct))
    for what, objects, wanted in rows:
        lab.apply("authz.yaml", *objects)
        def seen():
            return tuple(got(pod, url) for pod, url in asked)
        try:
            await_that(what, lambda want=wanted: seen() == want, 15)
        except TimeoutError:
            pass
        s.check(what, seen(), wanted)
    lab.remove("authz.yaml")
    await_that("open again", lambda: lab.client.curl(service).code == 200)


def got(pod, url):
    """Plaintext is reset with what it said unread: always 56."""
    reply = pod.curl(url)
    if pod.namespace == "legacy":
        seen = REFUSED if str(reply) == "000, exit 56" else str(reply)
    else:
        seen = reply.outcome
    return GOOD if seen == "200, exit 0" else seen


def open_connections(s, lab):
    listener = lab.server.listen(82)

    def opened(pod):
        one = pod.connect(lab.server.ip4, 82)
        one.sendall(b"hello")
        other, _ = listener.accept()
        other.settimeout(30)
        assert other.recv(5) == b"hello"
        return one, other

    pairs = {pod: opened(pod) for pod in (lab.client, lab.other, lab.legacy)}
    before = counted(lab)
    begin = time.monotonic()
    lab.apply("authz.yaml", authorization("DENY", rule(
        {"namespaces": ["mesh"]})))
    for name, end in zip(("client", "application"), pairs[lab.client]):
        s.check(f"what it forbids, the {name}'s end", ending(end), "reset")
    took = time.monotonic() - begin
    s.that(f"within a second ({took:.2f} s)", took < 1 or s.sanitizer)
    for pod in (lab.other, lab.legacy):
        one, other = pairs[pod]
        one.sendall(b"still")
        s.check(f"{pod.namespace}'s goes on", other.recv(5), b"still")
        other.sendall(b"there")
        s.check("in both directions", one.recv(5), b"there")
        one.close()
        other.close()

    def both():
        now = counted(lab)
        return all(now[node] > before[node] for node in now)
    s.that("both sides count it", await_that("it is counted", both))
    listener.close()


def counted(lab):
    """Connections of mesh/client that were broken off, by node."""
    totals = {}
    for name, node in lab.nodes.items():
        totals[name] = sum(
            value for key, value in node.agent.metrics().items()
            if key.startswith("istio_tcp_connections_closed_total")
            and "mesh" in key)
    return totals


def shown(s, lab):
    agent = lab.server.node.agent
    line = await_that("the access log has it", lambda: next(
        (each for each in agent.log().splitlines()
         if "outcome=policy_changed" in each and ":82 " in each), None))
    s.that("access log: " + line[-160:], "policy=mesh/policy" in line
           and "verdict=refused" in line and "rule 0" in line)
    s.that("status is fine", agent.status().returncode == 0)
    s.that("and the agent ready", await_that("ready", agent.ready))
    ask = ("policy", "test", "--to", "mesh/server", "--port", "8000")
    for name, code in (("mesh", 3), ("other", 0)):
        done = agent.command(*ask, "--from",
                             f"cluster.local/ns/{name}/sa/client")
        s.check(f"policy test, from {name}", done.returncode, code)
        s.note(" ".join(done.stdout.split())[:150])
    lab.apply("mtls.yaml", policy("mesh", "STRICT"))
    await_that("policy test knows of STRICT", lambda: agent.command(
        *ask, "--from", "none").returncode == 3)
    done = agent.command(*ask, "--from", "none")
    s.that("and says authn", "authn" in done.stdout)
    # A broken policy closes what it could concern, and says so.
    lab.remove("authz.yaml")
    broken = authorization("DENY")
    lab.apply("broken.yaml", broken)
    await_that("a broken one closes", lambda: lab.other.curl(
        f"http://{lab.vip4}:8000/").code == 0)
    s.that("status tells it", agent.status().returncode == 1 and
           "meaningless" in agent.status().stdout)
    s.that("the agent is not ready", await_that(
        "not ready", lambda: not agent.ready()))


def ending(connection):
    """How a connection ended: "reset", "end of stream", or what it said."""
    try:
        data = connection.recv(100)
        return "end of stream" if not data else data
    except ConnectionResetError:
        return "reset"
    finally:
        connection.close()


if __name__ == "__main__":
    main(run)
