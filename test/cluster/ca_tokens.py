#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The CA's callers as a real Kubernetes proves them: projected tokens of real
ServiceAccounts, and pods looked up in the API when an agent asks."""
import base64
import json
import os
import re
import shutil
import tempfile
import time

from kube import ControlPlane, claims_of, own_network, signed

# pylint: disable=wrong-import-order
from harness import await_that, main, run
from harness.authority import Authority, new_csr
from peers.ca_client import CaClient

AUDIENCE = "nodeward-ca"
SYSTEM, AGENT = "nodeward-system", "nodeward-agent"
REFUSED = "authentication token could not be authenticated"
UNKNOWN = f"{REFUSED}: the API server does not know it"


def spiffe(account, ns="mesh", domain="cluster.local"):
    return f"spiffe://{domain}/ns/{ns}/sa/{account}"


def of(kind, name, ns=None, version="v1", **fields):
    meta = {"name": name} | ({"namespace": ns} if ns else {})
    return {"apiVersion": version, "kind": kind, "metadata": meta} | fields


class Objects:
    """What the tests ask about; nodes, namespaces, accounts and pods."""

    def __init__(self, api):
        self.api = api
        for node in ("node-a", "node-b"):
            api.create(of("Node", node))
        self.mesh = of("Namespace", "mesh")
        api.create(self.mesh)
        self.opt_in("enabled")
        api.create(of("Namespace", SYSTEM))
        self.accounts = set()
        self.agents = {node: self.pod(f"agent-{node[-1]}", node, SYSTEM, AGENT)
                       for node in ("node-a", "node-b")}
        self.pod("on-a", "node-a")
        self.pod("on-b", "node-b")
        self.pod("left", "node-a", labels={"nodeward.io/mesh": "disabled"})
        self.pod("host", "node-a", hostNetwork=True)
        self.pod("done", "node-a", status={"phase": "Succeeded"})

    def opt_in(self, value):
        self.api.patch(self.mesh, {"metadata": {"labels": {
            "nodeward.io/mesh": value}}})

    def account(self, ns, name):
        if (ns, name) not in self.accounts:
            self.accounts.add((ns, name))
            self.api.create(of("ServiceAccount", name, ns))

    def pod(self, name, node, ns="mesh", account=None, labels=None,
            status=None, **spec):
        account = account or name
        self.account(ns, account)
        made = of("Pod", name, ns, spec={
            "serviceAccountName": account,
            "containers": [{"name": "app", "image": "example.org/app:1"}],
            **({"nodeName": node} if node else {}), **spec})
        made["metadata"]["labels"] = labels or {}
        if status:
            made["status"] = status
        return self.api.create(made)

    def projected(self, pod, audience=AUDIENCE):
        meta = pod["metadata"]
        return self.api.token(meta["namespace"],
                              pod["spec"]["serviceAccountName"],
                              [audience] if audience else [], pod)


def put(path, text):
    with open(path + ".new", "w", encoding="ascii",
              opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write(text)
    os.rename(path + ".new", path)


class Asker:
    """CSRs to the CA, with one key a name."""

    def __init__(self, ca, folder):
        with open(f"{ca.issuer}/ca.crt", encoding="ascii") as roots:
            self._client = CaClient(ca.address, roots.read())
        self._folder, self._requests = folder, {}

    def own(self, token, account="on-a", ns="mesh"):
        return self._ask(spiffe(account, ns), token, None)

    def as_agent(self, token, account, **where):
        """(code, the last words of an error)."""
        name = spiffe(account, **where)
        code, words = self._ask(name, token, name)
        return code, words.rsplit(": ", 1)[1] if ": " in words else words

    def _ask(self, name, token, impersonated):
        if name not in self._requests:
            self._requests[name] = new_csr(self._folder, name)[0]
        code, words = self._client.ask(self._requests[name], token,
                                       impersonated)
        return code, "" if code == "OK" else words


def rights(s, ca, ask, objects):
    """What the CA itself needs is said where it is missing."""
    token = objects.projected(objects.agents["node-a"])
    s.check("the CA without rights", ask.as_agent(token, "on-a"), (
        "UNAVAILABLE", "authentication token could not be reviewed "
        "(try again)"))
    s.that("its log says which",
           re.search(r"HTTP 403 .*system:auth-delegator", ca.log()))
    subject = [{"kind": "ServiceAccount", "name": "nodeward-ca",
                "namespace": SYSTEM}]
    group = "rbac.authorization.k8s.io"

    def bind(role):
        objects.api.create(of(
            "ClusterRoleBinding", f"ca-{role.replace(':', '-')}", None,
            f"{group}/v1", subjects=subject,
            roleRef={"apiGroup": group, "kind": "ClusterRole", "name": role}))
    bind("system:auth-delegator")
    await_that("it may review tokens", lambda: ask.own(
        objects.projected(objects.pod("early", "node-a")), "early")[0] == "OK")
    s.check("the CA without the right to see pods",
            ask.as_agent(token, "on-a"),
            ("UNAVAILABLE", "pods could not be looked up (try again)"))
    s.that("its log says which", re.search(
        r"pods not looked up.*HTTP 403 .*get and list pods", ca.log()))
    objects.api.create(of("ClusterRole", "nodeward-ca", None, f"{group}/v1",
                          rules=[
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}]))
    bind("nodeward-ca")
    await_that("it may see pods",
               lambda: ask.as_agent(token, "on-a")[0] == "OK")
    s.that("and with it an agent is served", True)


def tokens(s, ask, objects, plane):
    api = objects.api
    pod = objects.pod("tokens", "node-a", account="on-a")
    good = objects.projected(pod)
    claims = claims_of(good)["kubernetes.io"]
    s.check("the token's claims", (claims["pod"]["name"], claims["pod"]["uid"],
                                   claims["node"]["name"]),
            ("tokens", pod["metadata"]["uid"], "node-a"))
    s.check("a projected token", ask.own(good), ("OK", ""))
    s.check("for another than itself", ask.own(good, "on-b")[0],
            "FAILED_PRECONDITION")
    for what, audience in (("another audience", "vault"),
                           ("the API server's own", None)):
        s.check(what, ask.own(objects.projected(pod, audience)),
                ("UNAUTHENTICATED", UNKNOWN))
    s.check("of no pod, for itself",
            ask.own(api.token("mesh", "on-a", [AUDIENCE])), ("OK", ""))

    # By the key of the API server, so only what is changed tells them apart.
    now = int(time.time())
    again = claims_of(good)
    s.check("signed anew, unchanged",
            ask.own(signed(again, plane.token_key)), ("OK", ""))
    s.check("expired a minute ago", ask.own(signed(
        again | {"exp": now - 60, "iat": now - 700, "nbf": now - 700},
        plane.token_key)), ("UNAUTHENTICATED", UNKNOWN))
    s.check("of another issuer", ask.own(signed(
        again | {"iss": "https://other.example"}, plane.token_key)),
        ("UNAUTHENTICATED", UNKNOWN))
    stranger = f"{plane.folder}/stranger.key"
    run("openssl", "genrsa", "-out", stranger, "2048")
    s.check("under another key", ask.own(signed(again, stranger)),
            ("UNAUTHENTICATED", UNKNOWN))
    legacy_token(s, ask, objects, plane)

    unused = objects.projected(pod)
    api.delete(pod)
    s.check("of a pod that is gone", ask.own(unused),
            ("UNAUTHENTICATED", UNKNOWN))
    # Reviewed a moment ago, so it may be believed for ten seconds.
    await_that("one that was used before is refused too",
               lambda: ask.own(good)[0] == "UNAUTHENTICATED", 15, 0.5)
    objects.pod("tokens", "node-a", account="on-a")
    s.check("also when a pod of that name comes back", ask.own(unused),
            ("UNAUTHENTICATED", UNKNOWN))


def legacy_token(s, ask, objects, plane):
    """Of a Secret, as the token controller signs it: it has no audience."""
    account = objects.api.call(
        "GET", "/api/v1/namespaces/mesh/serviceaccounts/on-a")
    text = signed({
        "iss": "kubernetes/serviceaccount",
        "sub": "system:serviceaccount:mesh:on-a",
        "kubernetes.io/serviceaccount/namespace": "mesh",
        "kubernetes.io/serviceaccount/secret.name": "on-a-token",
        "kubernetes.io/serviceaccount/service-account.name": "on-a",
        "kubernetes.io/serviceaccount/service-account.uid":
            account["metadata"]["uid"]}, plane.token_key)
    secret = of("Secret", "on-a-token", "mesh", data={
        "token": base64.b64encode(text.encode()).decode()},
        type="kubernetes.io/service-account-token")
    secret["metadata"]["annotations"] = {
        "kubernetes.io/service-account.name": "on-a"}
    objects.api.create(secret)
    review = objects.api.call(
        "POST", "/apis/authentication.k8s.io/v1/tokenreviews",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
         "spec": {"token": text}})
    s.check("a Secret's token is good for the API server",
            review["status"].get("authenticated"), True)
    s.check("and no credential here", ask.own(text),
            ("UNAUTHENTICATED", UNKNOWN))


def agents(s, ask, objects):
    denied = "PERMISSION_DENIED"
    on_a = objects.projected(objects.agents["node-a"])
    on_b = objects.projected(objects.agents["node-b"])
    s.check("an agent, for a pod of its node", ask.as_agent(on_a, "on-a"),
            ("OK", ""))
    s.check("the other one, for its own", ask.as_agent(on_b, "on-b"),
            ("OK", ""))
    s.check("a stolen agent's token, for a pod of another node",
            ask.as_agent(on_a, "on-b"),
            (denied, "no pod with it on node node-a"))
    s.check("(i) a pod's own token, for a neighbour", ask.as_agent(
        objects.projected(objects.pod("nosy", "node-a")), "on-a"),
        (denied, "system:serviceaccount:mesh:nosy is not a trusted agent"))
    s.check("(ii) the agent's account without a pod", ask.as_agent(
        objects.api.token(SYSTEM, AGENT, [AUDIENCE]), "on-a"),
        (denied, "the token of system:serviceaccount:nodeward-system:"
         "nodeward-agent says neither node nor pod (it must be a projected "
         "one, bound to the agent's pod)"))
    for account, why in (("left", "not opted in"), ("host", "host network"),
                         ("done", "terminal")):
        s.check(f"(iii) pod {account}", ask.as_agent(on_a, account), (
            denied, f"its pod mesh/{account} on node node-a is not in the "
            f"mesh ({why})"))
    s.check("(iii) an account without a pod", ask.as_agent(on_a, "nobody"),
            (denied, "no pod with it on node node-a"))
    s.check("(iii) another trust domain",
            ask.as_agent(on_a, "on-a", domain="evil.example"),
            (denied, "the trust domain here is cluster.local"))
    looked_up(s, ask, objects)
    changes(s, ask, objects, on_a)


def looked_up(s, ask, objects):
    """A token that names a pod and no node, as of an older Kubernetes."""
    agent = objects.pod("agent-c", None, SYSTEM, AGENT)
    token = objects.projected(agent)
    s.that("such a token names no node",
           "node" not in claims_of(token)["kubernetes.io"])
    s.check("(ii) while its pod is on no node", ask.as_agent(token, "on-a"), (
        "PERMISSION_DENIED", "the caller's pod nodeward-system/agent-c is on "
        "no node"))
    objects.api.bind(agent, "node-b")
    # What is known of its claims does not change with the pod.
    s.check("once its pod is on a node", ask.as_agent(token, "on-b"),
            ("OK", ""))
    s.check("and for no other node", ask.as_agent(token, "on-a"),
            ("PERMISSION_DENIED", "no pod with it on node node-b"))


def changes(s, ask, objects, token):
    """What the API server says counts at once."""
    denied = "PERMISSION_DENIED"
    pod = objects.pod("short", "node-a")
    s.check("a pod of this moment", ask.as_agent(token, "short"), ("OK", ""))
    objects.api.patch(pod, {"metadata": {"labels": {
        "nodeward.io/mesh": "disabled"}}})
    s.check("that leaves the mesh", ask.as_agent(token, "short")[0], denied)
    objects.api.patch(pod, {"metadata": {"labels": {
        "nodeward.io/mesh": None}}})
    s.check("and comes back", ask.as_agent(token, "short"), ("OK", ""))
    objects.opt_in("disabled")
    s.check("its namespace leaves", ask.as_agent(token, "short")[0], denied)
    objects.opt_in("enabled")
    objects.api.delete(pod)
    s.check("that is gone", ask.as_agent(token, "short"),
            (denied, "no pod with it on node node-a"))


def many(s, ask, objects):
    """More pods of one account than a page has; only the last counts."""
    token = objects.projected(objects.agents["node-a"])
    for number in range(105):
        objects.pod(f"many-{number:03}", "node-a", account="many", status={
            "phase": "Failed" if number < 104 else "Running"})
    s.check("a pod on the list's second page", ask.as_agent(token, "many"),
            ("OK", ""))


def outage(s, ask, objects, plane):
    token = objects.projected(objects.agents["node-a"])
    fresh = objects.projected(objects.agents["node-a"])
    s.check("before", ask.as_agent(token, "on-a"), ("OK", ""))
    plane.apiserver.kill()
    s.check("without the API server nobody new is known",
            ask.own(fresh)[0], "UNAVAILABLE")
    s.check("and nobody is served whose pod cannot be seen",
            ask.as_agent(token, "on-a")[0], "UNAVAILABLE")
    plane.start_apiserver()
    await_that("it is back",
               lambda: ask.as_agent(fresh, "on-a") == ("OK", ""), 60)
    s.that("it is back", True)


def scenario(s):
    folder = tempfile.mkdtemp(prefix=f"nodeward-kube-{os.getpid()}-")
    own_network("10.89.0.1")
    plane = ControlPlane(f"{folder}/plane", "10.89.0.1")
    ca = None
    try:
        plane.start()
        s.note("Kubernetes " + json.loads(
            plane.admin.ask("GET", "/version")[1])["gitVersion"])
        objects = Objects(plane.admin)
        objects.account(SYSTEM, "nodeward-ca")
        put(f"{folder}/token", plane.admin.token(SYSTEM, "nodeward-ca"))
        run(s.binary, "ca", "init", f"{folder}/root")
        run(s.binary, "ca", "issue-intermediate", f"{folder}/root",
            f"{folder}/issuer")
        ca = Authority(s.binary, folder, None, **{
            "kubernetes-api": plane.server, "kubernetes-ca": plane.roots,
            "kubernetes-token": f"{folder}/token"})
        ask = Asker(ca, folder)
        rights(s, ca, ask, objects)
        tokens(s, ask, objects, plane)
        agents(s, ask, objects)
        many(s, ask, objects)
        outage(s, ask, objects, plane)
        s.that("the audit line has pod and node of the token", re.search(
            r"certificate issued caller=system:serviceaccount:nodeward-system"
            r":nodeward-agent pod=agent-a node=node-a .*identity="
            + spiffe("on-a"), ca.log()))
        s.that("no token is in the log", not re.search(r"eyJ\w{20}", ca.log()))
        s.check("SIGTERM ends it in order", ca.stop(), 0)
    except Exception:
        print(ca.log()[-4000:] if ca else plane.logs())
        raise
    finally:
        if ca:
            ca.process.kill()
        plane.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(scenario)
