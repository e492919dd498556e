#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Where connections of a pod go: an endpoint that refuses is not the last word,
internalTrafficPolicy, addresses of a ServiceEntry; and what is refused because
somebody wants mutual TLS."""
from harness import await_that, main, manifest, policy


def run(s):
    lab = s.cluster()
    lab.namespace("mesh", mesh="enabled")
    lab.namespace("careful", mesh="enabled",
                  labels={"nodeward.io/outbound": "require-mtls"})
    lab.namespace("legacy")
    web = {"app": "web"}
    lab.one = lab.pod("mesh/one", "node-a", labels=web)
    lab.two = lab.pod("mesh/two", "node-b", labels=web)
    lab.here = lab.pod("mesh/here", "node-a")
    lab.there = lab.pod("mesh/there", "node-b")
    lab.careful = lab.pod("careful/client", "node-a")
    lab.legacy = lab.pod("legacy/server", "node-b")
    lab.vip, _ = lab.service("mesh/web", {"tcp": (8000, 80)}, selector=web)
    lab.start_agents()
    lab.await_enrolled(lab.one, lab.two, lab.here, lab.there, lab.careful)
    lab.url = f"http://{lab.vip}:8000/"
    endpoints(s, lab)
    nodes(s, lab, web)
    require_mtls(s, lab)
    rules(s, lab)
    service_entry(s, lab)


GOOD, REFUSED = "200, exit 0", "refused"


def got(pod, url):
    return pod.curl(url).outcome


def becomes(s, what, ask, wanted):
    try:
        await_that(what, lambda: ask() == wanted, 20)
    except TimeoutError:
        pass
    s.check(what, ask(), wanted)


def endpoints(s, lab):
    lab.one.serve_web(80)
    # The other one is ready and refuses.
    seen = {got(lab.here, lab.url) for _ in range(20)}
    s.check("one of two endpoints refuses", seen, {GOOD})
    lab.one.processes.pop().kill()
    s.check("both do", got(lab.here, lab.url), REFUSED)
    lab.one.serve_web(80)


def nodes(s, lab, web):
    service = manifest.service("web", "mesh", {"tcp": (8000, 80)}, web,
                               [lab.vip])
    service["spec"]["internalTrafficPolicy"] = "Local"
    lab.apply("services/mesh-web.yaml", service)
    becomes(s, "its own node's endpoint alone", lambda: got(lab.there, lab.url),
            REFUSED)
    s.check("which serves elsewhere", got(lab.here, lab.url), GOOD)
    service["spec"]["internalTrafficPolicy"] = "Cluster"
    lab.apply("services/mesh-web.yaml", service)
    becomes(s, "and everywhere again", lambda: got(lab.there, lab.url), GOOD)


def require_mtls(s, lab):
    s.check("a careful namespace, mutual TLS",
            got(lab.careful, lab.url), GOOD)
    s.check("and outside of the mesh",
            lab.careful.curl(f"http://{lab.legacy.ip4}/").exit, 7)
    lab.two.serve_web(80)
    lab.apply("disable.yaml", policy("mesh", "DISABLE"))
    await_that("plaintext", lambda: "plaintext" in (
        lab.here.curl(lab.url) and lab.here.node.agent.edge(lab.here, lab.one)
        or ""))
    s.check("plaintext elsewhere", got(lab.here, lab.url), GOOD)
    becomes(s, "where the mode is DISABLE", lambda: got(lab.careful, lab.url),
            REFUSED)
    s.that("the log tells why", await_that("logged", lambda: (
        "nodeward.io/outbound=require-mtls" in lab.careful.node.agent.log())))
    listener = lab.one.listen(81)
    with lab.here.connect(lab.one.ip4, 81) as one:
        accepted, _ = listener.accept()
        lab.namespace("mesh", mesh="enabled",
                      labels={"nodeward.io/outbound": "require-mtls"})
        try:
            s.check("what is open", one.recv(1), "a reset")
        except ConnectionResetError:
            s.that("what is open is closed", True)
        accepted.close()
    listener.close()
    lab.namespace("mesh", mesh="enabled")
    lab.remove("disable.yaml")
    becomes(s, "mutual TLS again", lambda: got(lab.careful, lab.url), GOOD)


def rule(mode, host="web.mesh.svc.cluster.local"):
    return {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": {"name": "rule", "namespace": "mesh"},
            "spec": {"host": host, "trafficPolicy": {"tls": {"mode": mode}}}}


def rules(s, lab):
    def ask():
        return got(lab.here, lab.url)

    lab.apply("strict.yaml", policy("mesh", "STRICT"))
    lab.apply("rule.yaml", rule("DISABLE"))
    becomes(s, "a rule that contradicts STRICT", ask, REFUSED)
    s.that("the log tells why", await_that("logged", lambda: (
        "DestinationRule mesh/rule says DISABLE, but mesh/"
        in lab.here.node.agent.log())))
    done = lab.here.node.run(lab.binary, "policy", "lint", lab.manifests,
                             check=False)
    s.that("policy lint names it", "is STRICT (PeerAuthentication mesh/default)"
           in done.stdout)
    lab.apply("rule.yaml", rule("ISTIO_MUTUAL"))
    becomes(s, "one that does not", ask, GOOD)
    lab.apply("strict.yaml", policy("mesh", "PERMISSIVE"))
    lab.apply("rule.yaml", rule("DISABLE"))
    becomes(s, "plaintext to who takes it", ask, GOOD)
    lab.remove("rule.yaml")
    lab.remove("strict.yaml")


def service_entry(s, lab):
    lab.legacy.serve_web(8080)
    lab.apply("entry.yaml", {
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"name": "out", "namespace": "mesh"},
        "spec": {"hosts": ["out.example"], "addresses": ["240.0.0.9"],
                 "location": "MESH_EXTERNAL", "resolution": "STATIC",
                 "ports": [{"number": 80, "name": "tcp", "protocol": "TCP",
                            "targetPort": 8080}],
                 "endpoints": [{"address": lab.legacy.ip4}]}})
    becomes(s, "an address of a ServiceEntry",
            lambda: got(lab.here, "http://240.0.0.9/"), GOOD)


if __name__ == "__main__":
    main(run)
