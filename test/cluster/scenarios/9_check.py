# SPDX-License-Identifier: Apache-2.0
"""nodeward check from a workstation that has a kubeconfig and nothing else."""
import json
import os
import signal

from harness.process import await_that, run
from mesh import SYSTEM, account

ONLY_WITH_ALL = True
# What it takes to check a cluster.
CHECKER = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: checker, namespace: nodeward-system}
rules:
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [""]
  resources: [pods/exec]
  verbs: [get, create]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: checker, namespace: nodeward-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: checker}
subjects: [{kind: ServiceAccount, name: checker, namespace: default}]
"""


def check(mesh, *words, **environment):
    """The binary itself, which of the cluster has only the network."""
    return run("nsenter", f"--net=/run/netns/{mesh.cluster.a.netns}", "env",
               *(f"{key}={value}" for key, value in environment.items()),
               mesh.cluster.binary, "check", *words, check=False, timeout=120)


def scenario(s, mesh):
    mesh.ready()
    cluster = mesh.cluster
    # An agent without a pod of the mesh has nothing signed yet, and says so.
    mesh.namespace("checked", **{"nodeward.io/mesh": "enabled"})
    for node in cluster.nodes:
        mesh.sleep("checked", f"on-{node}", node=node)
    config = cluster.plane.kubeconfig("admin")
    await_that("all is well", lambda: check(
        mesh, "--kubeconfig", config).returncode == 0, 60, 1)
    said = check(mesh, "--kubeconfig", config)
    s.check("by a client certificate", (
        said.returncode, said.stdout.splitlines()[:2],
        said.stdout.splitlines()[-1]), (
            0, ["node-a", "======"], "Status check results are √"))
    s.that("both nodes are shown", "\nnode-b\n======\n" in said.stdout)
    found = json.loads(check(mesh, "--kubeconfig", config, "-o",
                             "json").stdout)
    s.check("as JSON", [(node["node"], node["success"])
                        for node in found["nodes"]],
            [("node-a", True), ("node-b", True)])
    s.check("the same as inside", [
        each["categoryName"] for each in found["nodes"][0]["categories"]],
        [each["categoryName"] for each in json.loads(mesh.ask(
            "node-a", "check", "-o", "json").stdout)["categories"]])
    s.check("by the environment", check(
        mesh, "--context", json.loads(cluster.kubectl(
            "config", "view", "-o", "json").stdout)["current-context"],
        KUBECONFIG=config).returncode, 0)
    by_parts(s, mesh, config)
    by_token(s, mesh, config)
    refusals(s, mesh, config)
    one_down(s, mesh, config)


def whole_config(mesh, config):
    return json.loads(mesh.cluster.kubectl(
        "config", "view", "--raw", "--flatten", "-o", "json",
        "--kubeconfig", config).stdout)


def by_parts(s, mesh, config):
    """Who and where are in two files; one that is not there is no error."""
    whole, paths = whole_config(mesh, config), [f"{mesh.cluster.folder}/none"]
    for number, keys in enumerate((("contexts", "users"),
                                   ("clusters", "current-context"))):
        paths.append(f"{mesh.cluster.folder}/part-{number}.kubeconfig")
        with open(paths[-1], "w", encoding="utf-8") as file:
            json.dump({key: whole[key] for key in keys}, file)
    s.check("by several files", check(
        mesh, "--context", whole["current-context"],
        KUBECONFIG=":".join(paths)).returncode, 0)


def with_user(mesh, config, user):
    """A kubeconfig with another user."""
    whole = whole_config(mesh, config)
    whole["users"][0]["user"] = user
    path = f"{mesh.cluster.folder}/checker.kubeconfig"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(whole, file)
    return path


def by_token(s, mesh, config):
    cluster = mesh.cluster
    cluster.apply(account("checker", "default"), CHECKER)
    token = cluster.kubectl("create", "token", "checker").stdout.strip()
    path = with_user(mesh, config, {"token": token})
    s.check("by a token that may no more than this", check(
        mesh, "--kubeconfig", path).returncode, 0)
    plugin = f"{cluster.folder}/plugin"
    with open(plugin, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\necho '{\"status\":{\"token\":\"'"
                   f"{token}'\"}}}}'\n")
    os.chmod(plugin, 0o755)
    path = with_user(mesh, config, {"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": plugin,
        "interactiveMode": "Never"}})
    s.check("by an exec plugin", check(
        mesh, "--kubeconfig", path).returncode, 0)


def refusals(s, mesh, config):
    path = with_user(mesh, config, {"token": "none"})
    said = check(mesh, "--kubeconfig", path)
    s.that("a token that is none", said.returncode == 1 and
           "it answers 401" in said.stderr)
    said = check(mesh, "--kubeconfig", config, "--namespace", "default")
    s.that("another namespace", said.returncode == 1 and
           "no agent runs in namespace default" in said.stderr)
    mesh.cluster.kubectl("delete", "rolebinding", "checker", "-n", SYSTEM)
    token = mesh.cluster.kubectl("create", "token", "checker").stdout.strip()
    path = with_user(mesh, config, {"token": token})
    await_that("one that may not", lambda: "it answers 403" in check(
        mesh, "--kubeconfig", path).stderr, 30, 0.5)
    s.that("one that may not", True)


def one_down(s, mesh, config):
    """A kubelet that does not answer hides its node's agent."""
    cluster = mesh.cluster
    cluster.b.signal("kubelet", signal.SIGSTOP)
    try:
        said = check(mesh, "--kubeconfig", config, "-o", "json")
    finally:
        cluster.b.signal("kubelet", signal.SIGCONT)
    nodes = {node["node"]: node for node in json.loads(said.stdout)["nodes"]}
    s.check("one node's agent cannot be asked", (
        said.returncode, nodes["node-a"]["success"],
        nodes["node-b"]["success"]), (1, True, False))
    s.note(nodes["node-b"]["error"])
    s.that("the reason is told", nodes["node-b"]["error"])
    await_that("it can again", lambda: check(
        mesh, "--kubeconfig", config).returncode == 0, 60, 1)
