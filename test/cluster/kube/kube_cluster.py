# SPDX-License-Identifier: Apache-2.0
"""Two nodes with a control plane, network, names and images."""
import concurrent.futures
import json
import os
import shutil
import time

from harness.process import await_that, run

from .control_plane import ControlPlane, programs
from .images import make_images
from .kube_node import SERVICES, KubeNode
from .machine_folders import MachineFolders

_HERE = os.path.dirname(os.path.abspath(__file__))
# What a kubelet sets for the whole machine.
_SYSCTLS = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic",
            "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
            "kernel/keys/root_maxbytes")


class KubeCluster:
    """`folder` is new; all names on the machine carry `prefix`. `tell` is
    called with what is being done."""

    def __init__(self, folder, prefix, binary, tell=print):
        self.folder, self._prefix, self._tell = folder, prefix, tell
        self._sysctls = {name: _read(f"/proc/sys/{name}") for name in _SYSCTLS}
        self._folders = MachineFolders()
        self.programs = None
        self.binary = binary
        self.plane = None
        self.nodes = {}
        self.a = self.b = None

    def start(self):
        self.programs = programs()
        begin = time.monotonic()
        for number, name in enumerate(("node-a", "node-b"), 1):
            self.nodes[name] = KubeNode(self.folder, self._prefix, name,
                                        number, self.programs)
        self.a, self.b = self.nodes.values()
        pause = f"{self.folder}/pause"
        run("gcc", "-O2", "-static", "-o", pause, f"{_HERE}/pause.c")
        self.a.connect_wire(self.b)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            images = pool.submit(make_images, f"{self.folder}/images",
                                 self.programs, self.binary, pause)
            for node in self.nodes.values():
                node.boot()
            self.plane = ControlPlane(
                f"{self.folder}/plane", self.a.address,
                self.a.enter(), self.a.netns, SERVICES, self.a.address6)
            self._tell("control plane")
            for node in self.nodes.values():
                node.start_containerd()
            self.plane.start()
            self._tell("images")
            paths = images.result()
            list(pool.map(lambda node: node.import_images(paths),
                          self.nodes.values()))
        for path in paths:
            os.remove(path)
        self._tell("nodes")
        self.plane.start_controllers()
        for node in self.nodes.values():
            node.start_kubelet(self.plane)
            node.start_proxy(self.plane)
        await_that("two nodes are Ready", self.ready_nodes, 120, 0.3)
        await_that("accounts are made", lambda: self.kubectl(
            "get", "serviceaccount", "default",
            check=False).returncode == 0, 60, 0.3)
        self._tell("DNS")
        self.kubectl("apply", "-f", f"{_HERE}/coredns.yaml")
        self.kubectl("-n", "kube-system", "rollout", "status",
                     "deployment/coredns", "--timeout=120s")
        self._tell(f"cluster of two nodes: {time.monotonic() - begin:.0f} s")

    def ready_nodes(self):
        nodes = self.get("nodes")
        ready = [node for node in nodes if any(
            one["type"] == "Ready" and one["status"] == "True"
            for one in node["status"].get("conditions", []))]
        return len(ready) == len(self.nodes)

    # --- as its user -------------------------------------------------------------

    def _tool(self, program, *words, **options):
        config = self.plane.kubeconfig("admin")
        # A home: they cache what they learn.
        return self.a.run("env", f"HOME={self.folder}/home",
                          f"KUBECONFIG={config}",
                          f"{self.programs}/{program}", *words, **options)

    def kubectl(self, *words, **options):
        return self._tool("kubectl", *words, **options)

    def helm(self, *words, **options):
        return self._tool("helm", *words, **options)

    def get(self, *words):
        """The items of what kubectl gets."""
        found = json.loads(self.kubectl("get", *words, "-o", "json").stdout)
        return found.get("items", [found])

    def apply(self, *objects):
        """Objects as dictionaries, or YAML text."""
        text = "\n---\n".join(one if isinstance(one, str)
                              else json.dumps(one) for one in objects)
        return self.kubectl("apply", "-f", "-", stdin=text)

    def await_pods(self, namespace, selector, count=1, deadline=90):
        """Pods of that label, when so many are Ready and none other is there."""
        def ready():
            pods = self.get("pods", "-n", namespace, "-l", selector)
            good = [pod for pod in pods if _is_ready(pod)]
            return len(good) == count == len(pods) and good
        try:
            return await_that(f"{count} pods {selector} in {namespace}", ready,
                              deadline, 0.3)
        except TimeoutError as error:
            said = self.kubectl("-n", namespace, "describe", "pods", "-l",
                                selector, check=False).stdout
            raise TimeoutError(f"{error}\n{said[-4000:]}") from None

    def logs(self):
        text = self.plane.logs() if self.plane else ""
        return text + "".join(node.logs() for node in self.nodes.values())

    # --- the end -----------------------------------------------------------------

    def keep_logs(self, folder):
        """Of components and of pods."""
        for source in [f"{self.folder}/plane",
                       *(node.folder for node in self.nodes.values())]:
            if not os.path.isdir(source):
                continue
            target = f"{folder}/{os.path.basename(source)}"
            os.makedirs(target, exist_ok=True)
            for name in os.listdir(source):
                if name.endswith(".log"):
                    shutil.copy2(f"{source}/{name}", target)
        for node in self.nodes.values():
            pods = f"{node.disk}/var/log/pods"
            if os.path.isdir(pods):
                shutil.copytree(pods, f"{folder}/{node.name}/pods",
                                dirs_exist_ok=True, symlinks=True)

    def close(self):
        if self.plane:
            self.plane.stop()
        for node in self.nodes.values():
            node.close()
        for name, value in self._sysctls.items():
            if _read(f"/proc/sys/{name}") != value:
                with open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
                    file.write(value)
        self._folders.close()
        # Mounts of a node that has just died go a moment later.
        await_that(f"{self.folder} is gone", self._remove_folder, 20, 0.2)

    def _remove_folder(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        return not os.path.exists(self.folder)


def _read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def _is_ready(pod):
    if "deletionTimestamp" in pod["metadata"]:
        return False
    return any(one["type"] == "Ready" and one["status"] == "True"
               for one in pod["status"].get("conditions", []))
