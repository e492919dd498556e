#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is wrong is said: what, where, and what to do; the agent ends at once
when it cannot start, and goes on when only a pod or a file is bad."""
import os

from harness import await_that, main, run as execute
from harness.manifest import to_yaml


def run(s):
    lab = s.trio(start=False)
    configuration(s, lab)
    surroundings(s, lab)
    commands(s, lab)
    running(s, lab)


class Attempt:
    """Starts an agent that must not start, and reads what it says."""

    def __init__(self, s, lab):
        self.s, self.lab = s, lab
        self.agent = lab.nodes["node-a"].agent

    def __call__(self, what, *words, text=None, prefix=(), flags=(), **config):
        path = f"{self.lab.folder}/bad.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text or to_yaml({**self.agent.config, **config}))
        done = self.agent.node.run(*prefix, self.lab.binary, "agent",
                                   "--config", path, *flags, check=False,
                                   timeout=30)
        said = done.stdout + done.stderr
        self.s.that(f"{what}: exit status {done.returncode}",
                    done.returncode not in (0, 134, 139))
        missing = [word for word in words if word not in said]
        self.s.check(f"{what}: not said of {words}", missing, [])
        self.s.note(said.strip().splitlines()[-1] if said.strip() else
                    "(nothing)")


def configuration(s, lab):
    refuse = Attempt(s, lab)
    refuse("unknown key", "bad.yaml", "nodde", nodde="x")
    refuse("unknown nested key", "bad.yaml", "kubelet", "colour",
           kubelet={"colour": "red"})
    refuse("wrong type", "bad.yaml:", "workers", "number", workers="many")
    refuse("a map where a text belongs", "trustDomain",
           trustDomain={"a": "b"})
    refuse("out of range", "workers", workers=-1)
    refuse("no block of addresses", "meshCIDRs", "10.0.0.0/99",
           meshCIDRs=["10.0.0.0/99"])
    refuse("an unknown log level", "log.level", "loud",
           log={"level": "loud"})
    refuse("no YAML at all", "bad.yaml", text="node: [a\n  b: }\n")
    refuse("a list instead of a map", "bad.yaml", text="- a\n- b\n")
    refuse("unknown flag", "--nope", flags=("--nope",))
    node = lab.nodes["node-a"]
    done = node.run(lab.binary, "agent", "--config", "/nowhere.yaml",
                    check=False)
    s.that("no such file is named", done.returncode != 0
           and "/nowhere.yaml" in done.stdout + done.stderr)


def surroundings(s, lab):
    refuse = Attempt(s, lab)
    folder = lab.folder
    refuse("missing folder of manifests", "/no/such/folder",
           source={"manifests": "/no/such/folder"})
    os.makedirs(f"{folder}/open")
    os.chmod(f"{folder}/open", 0o777)
    refuse("a folder that others may write", f"{folder}/open", "writ",
           source={"manifests": f"{folder}/open"})
    os.makedirs(f"{folder}/foreign")
    os.chown(f"{folder}/foreign", 65534, 65534)
    refuse("a folder of another user", f"{folder}/foreign", "root",
           source={"manifests": f"{folder}/foreign"})
    for name, files in (("empty-key", {"ca.crt": "x", "ca.key": ""}),
                        ("half", {"ca.crt": "x"})):
        os.makedirs(f"{folder}/{name}")
        for file, text in files.items():
            with open(f"{folder}/{name}/{file}", "w",
                      encoding="ascii") as out:
                out.write(text)
        refuse(f"CA folder, {name}", f"{folder}/{name}",
               ca={"embedded": f"{folder}/{name}"})
    with open(f"{folder}/file", "w", encoding="ascii"):
        pass
    refuse("a CA folder that is a file", f"{folder}/file",
           ca={"embedded": f"{folder}/file"})
    refuse("a run directory that is a file", f"{folder}/file",
           runDir=f"{folder}/file")
    refuse("pins outside a BPF file system", "bpf", bpfDir=f"{folder}/open")
    refuse("a cgroup that is none", f"{folder}/open", "cgroup",
           cgroup=f"{folder}/open")
    refuse("not root", "root", prefix=(
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
    refuse("root without capabilities", "BPF", "not permitted", prefix=(
        "setpriv", "--bounding-set=-all", "--inh-caps=-all"))
    agent = refuse.agent
    agent.start()
    refuse("a second agent on one run directory", agent.run_dir,
           str(agent.pid))
    s.that("the first goes on", agent.running())
    agent.stop()


def commands(s, lab):
    for words, wanted in (
            (("status", "--run-dir", "/nowhere"), "/nowhere"),
            (("edges", "--run-dir", "/nowhere"), "/nowhere"),
            (("frobnicate",), "frobnicate"),
            (("edges", "-o", "xml"), "xml"),
            ((), "agent")):
        done = execute(lab.binary, *words, check=False)
        said = done.stdout + done.stderr
        s.that(f"nodeward {' '.join(words)}: exit {done.returncode}, names "
               f"{wanted}", done.returncode != 0 and wanted in said)
    done = execute(lab.binary, "agent", "--help", check=False)
    s.check("agent --help", done.returncode, 0)
    for key in ("node", "trustDomain", "source.manifests", "ca.embedded",
                "runDir", "bpfDir", "cgroup", "kubelet.cgroup", "meshCIDRs",
                "workers", "log.level", "log.format"):
        s.that(f"help documents {key}", key in done.stdout)


def running(s, lab):
    """Bad pods and files; the others go on being served."""
    taken = lab.pod("mesh/taken", "node-b")
    holder = taken.listen(15008)
    lab.server.serve_web(80)
    lab.start_agents()
    lab.await_enrolled(lab.server, lab.client)
    agent = lab.nodes["node-b"].agent
    url = f"http://{lab.vip4}:8000/"

    agent.await_state(taken, "failed")
    s.that("port 15008 is taken: " + agent.pod_states()["mesh/taken"][1],
           "15008" in agent.pod_states()["mesh/taken"][1])
    s.check("the others are served", lab.client.curl(url).code, 200)
    holder.close()
    lab.await_enrolled(taken)

    nowhere = lab.pod("mesh/nowhere", "node-b", publish=False)
    nowhere.netns += "-gone"
    lab.publish(nowhere)
    agent.await_state(nowhere, "failed")
    s.that("its network namespace is gone: "
           + agent.pod_states()["mesh/nowhere"][1],
           nowhere.netns in agent.pod_states()["mesh/nowhere"][1])
    lab.withdraw(nowhere)
    nowhere.netns = nowhere.netns.removesuffix("-gone")
    nowhere.end()

    for name, text, words in (
            ("prose.yaml", "just some words\n", ()),
            ("list.yaml", "- 1\n- 2\n", ()),
            ("torn.yaml", "kind: Pod\nmetadata: {name: [\n", ()),
            ("bytes.yaml", "\x01\x02\x03", ()),
            ("nokind.yaml", "metadata:\n  name: x\n", ("kind",)),
            ("empty.json", "{", ()),
            ("badpod.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n"
             "  name: x\n  namespace: mesh\nspec: 7\n", ("spec",))):
        lab.apply(name, text)
        try:
            problem = await_that("a problem is shown", lambda: next(
                (each for each in agent.status_json()["problems"]
                 if each["file"].endswith(name)), None), 10)
            s.check(f"{name}: {problem['line']}: {problem['reason']}",
                    [word for word in words
                     if word not in problem["reason"]], [])
        except TimeoutError:
            s.that(f"{name} is a problem", False)
        lab.remove(name)
    # A good file that breaks keeps what it said.
    path = f"{lab.manifests}/pods/mesh-server.yaml"
    with open(path, "w", encoding="ascii") as file:
        file.write("kind: [")
    await_that("it shows", lambda: agent.status_json()["problems"])
    s.check("a file that breaks keeps its last good state",
            lab.client.curl(url).code, 200)
    lab.publish(lab.server)
    # An AuthorizationPolicy that we cannot honour yet closes.
    lab.apply("authz.yaml", """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny, namespace: mesh}
spec: {selector: {matchLabels: {app: server}}, action: DENY}
""")
    await_that("it closes", lambda: lab.client.curl(url).code == 0)
    s.that("and status says so", any(
        "AuthorizationPolicy" in each["object"] or "deny" in each["reason"]
        for each in agent.status_json()["problems"]))
    lab.remove("authz.yaml")
    await_that("open again", lambda: lab.client.curl(url).code == 200)


if __name__ == "__main__":
    main(run)
