# SPDX-License-Identifier: Apache-2.0
"""Nodes, pods, manifests and agents together; clears everything away."""
import itertools
import os
import shutil
import tempfile
import uuid

from . import manifest
from .agent import Agent
from .node import Node, cgroup_root
from .pod import Pod
from .process import run

LABEL = "nodeward.io/mesh"


class Cluster:
    """Two nodes on one wire (or one alone); close() leaves nothing behind."""

    def __init__(self, binary, nodes=("node-a", "node-b"), dns=False,
                 name="nw"):
        self.binary = os.path.abspath(binary)
        self.prefix = f"{name}{os.getpid()}"
        self.dns = dns
        self.folder = tempfile.mkdtemp(prefix=self.prefix + "-")
        os.chmod(self.folder, 0o755)
        self.manifests = f"{self.folder}/manifests"
        self.names = f"{self.folder}/names"
        self.ca = f"{self.folder}/ca"
        self.bpf = f"{self.folder}/bpf"
        self.cgroup = f"{cgroup_root()}/{self.prefix}"
        self.nodes, self.pods, self.services = {}, {}, {}
        self._numbers = itertools.count(1)
        self._service_numbers = itertools.count(10)
        self._rules = []
        self._closed = False
        for folder in (self.manifests, self.bpf, self.cgroup):
            os.makedirs(folder, mode=0o755)
        self._write_names([])
        try:
            # A BPF file system of our own: unmounted, it takes all pins along.
            run("mount", "-t", "bpf", "bpf", self.bpf)
            for number, node in enumerate(nodes, 1):
                self.nodes[node] = Node(self, node, number)
            made = list(self.nodes.values())
            for one, two in zip(made, made[1:]):
                one.connect_wire(two)
            for node in made:
                if dns:
                    node.start_dns()
                node.agent = Agent(self, node)
        except BaseException:
            self.close()
            raise

    def next_number(self):
        return next(self._numbers)

    # --- objects ---------------------------------------------------------------

    def apply(self, name, *objects):
        """Writes manifests/<name>; text as it stands, else as YAML. By rename:
        a reader never sees half of it."""
        path = f"{self.manifests}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        text = "---\n".join(
            one if isinstance(one, str) else manifest.to_yaml(one) + "\n"
            for one in objects)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(path + ".new", path)
        return path

    def remove(self, name):
        os.unlink(f"{self.manifests}/{name}")

    def namespace(self, name, mesh=None, labels=None):
        labels = dict(labels or {})
        if mesh:
            labels[LABEL] = mesh
        self.apply(f"namespaces/{name}.yaml", manifest.namespace(name, labels))

    def pod(self, full_name, node, labels=None, account=None, ports=None,
            probes=None, addresses=None, publish=True):
        """A pod with its namespace; known to the agents if `publish`."""
        namespace, name = full_name.split("/")
        node = self.nodes[node] if isinstance(node, str) else node
        made = Pod(self, node, namespace, name,
                   addresses or node.next_addresses())
        made.uid = str(uuid.uuid4())
        made.labels = {"app": name, **(labels or {})}
        made.account = account or name
        made.ports, made.probes = ports or {}, probes or {}
        self.pods[full_name] = made
        if publish:
            self.publish(made)
        return made

    def publish(self, pod, **changes):
        """Writes the pod's manifest, after a change of its fields too."""
        pod.object = manifest.pod(
            pod.name, pod.namespace, pod.uid, pod.labels, pod.node.name,
            pod.account, [ip for ip in (pod.ip4, pod.ip6) if ip], pod.netns,
            pod.ports, pod.probes)
        for key, value in changes.items():
            pod.object[key] = {**pod.object[key], **value}
        self.apply(f"pods/{pod.namespace}-{pod.name}.yaml", pod.object)
        self._update_services()

    def withdraw(self, pod):
        """Takes the pod's manifest away; its namespace stays."""
        self.remove(f"pods/{pod.namespace}-{pod.name}.yaml")
        self.pods.pop(pod.full_name)
        self._update_services()

    def delete_pod(self, pod):
        """As the API server and the runtime would: object, then namespace."""
        self.withdraw(pod)
        pod.end()

    def service(self, full_name, ports, selector=None, headless=False):
        """Returns (IPv4, IPv6) virtual addresses; for headless, none."""
        namespace, name = full_name.split("/")
        number = next(self._service_numbers)
        addresses = [] if headless else [f"10.96.{number >> 8}.{number & 255}",
                                         f"fd96::{number:x}"]
        selector = selector or {"app": name}
        self.services[full_name] = (namespace, selector, ports, addresses)
        self.apply(f"services/{namespace}-{name}.yaml", manifest.service(
            name, namespace, ports, selector, addresses))
        self._update_services()
        return addresses

    def _backends(self, namespace, selector):
        return [pod for pod in self.pods.values()
                if pod.namespace == namespace
                and selector.items() <= pod.labels.items()]

    def _update_services(self):
        """Names and DNAT rules, as CoreDNS and kube-proxy would hold them."""
        rules, names = [], []
        for full_name, (namespace, selector, ports, addresses) in \
                self.services.items():
            backends = self._backends(namespace, selector)
            host = ".".join(reversed(full_name.split("/")))
            for address in addresses or [
                    ip for pod in backends for ip in (pod.ip4, pod.ip6) if ip]:
                names.append(f"{address} {host}.svc.cluster.local")
            for address in addresses:
                for port, target in ports.values():
                    rules.append((address, port, [
                        (pod.ip6 if ":" in address else pod.ip4,
                         target if isinstance(target, int)
                         else pod.ports[target]) for pod in backends]))
        if self.dns:
            self._write_names(names)
            for node in self.nodes.values():
                node.read_names()
        self._rules = rules
        if self.services:
            self.restore_cluster_ips()

    def restore_cluster_ips(self):
        """After Node.remove_cluster_ips()."""
        for node in self.nodes.values():
            node.set_cluster_ips(self._rules)

    def _write_names(self, lines):
        with open(self.names, "w", encoding="ascii") as file:
            file.write("".join(line + "\n" for line in lines))

    def resolv_conf(self, pod):
        path = f"{self.folder}/resolv-{pod.node.name}-{pod.namespace}.conf"
        if not os.path.exists(path):
            with open(path, "w", encoding="ascii") as file:
                file.write(f"nameserver {pod.node.bridge4}\n"
                           f"search {pod.namespace}.svc.cluster.local "
                           "svc.cluster.local cluster.local\n"
                           "options ndots:5 timeout:2\n")
        return path

    def nsswitch_conf(self):
        """Names by DNS alone, whatever the machine itself prefers."""
        path = f"{self.folder}/nsswitch.conf"
        if not os.path.exists(path):
            with open(path, "w", encoding="ascii") as file:
                file.write("passwd: files\ngroup: files\nhosts: files dns\n")
        return path

    # --- agents ------------------------------------------------------------------

    def start_agents(self):
        for node in self.nodes.values():
            node.agent.start()

    def await_enrolled(self, *pods):
        for pod in pods:
            pod.node.agent.await_state(pod, "enrolled", deadline=60)

    def agents(self):
        return [node.agent for node in self.nodes.values()]

    # --- the end -------------------------------------------------------------------

    def close(self):
        """Everything goes, also after an error on the way; once is enough."""
        if self._closed:
            return
        self._closed = True
        errors = []

        def attempt(action):
            try:
                action()
            except Exception as error:  # pylint: disable=broad-except
                errors.append(error)

        agents = [node.agent for node in self.nodes.values() if node.agent]
        for agent in agents:
            attempt(agent.stop)
        for agent in agents:
            if os.path.isdir(agent.bpf_dir):
                attempt(agent.uninstall)
        for pod in self.pods.values():
            attempt(pod.end)
        for node in self.nodes.values():
            attempt(node.close)
        # What an error left half made.
        for netns in os.listdir("/run/netns"):
            if netns.startswith(self.prefix + "-"):
                attempt(lambda name=netns: run("ip", "netns", "del", name))
        if os.path.isdir(self.cgroup):
            attempt(lambda: os.rmdir(self.cgroup))
        if os.path.ismount(self.bpf):
            attempt(lambda: run("umount", self.bpf))
        if not os.path.ismount(self.bpf):
            shutil.rmtree(self.folder, ignore_errors=True)
        if errors:
            raise errors[0]
