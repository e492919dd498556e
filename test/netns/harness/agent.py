# SPDX-License-Identifier: Apache-2.0
"""nodeward on one node, and what it says of itself."""
import http.client
import json
import os
import re
import signal
import time

from .entering import entered
from .manifest import to_yaml
from .process import Process, await_that, run

_SANITIZER = re.compile(
    r"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error).*")


class Agent:
    """The agent of one node; started, killed and asked by scenarios."""

    def __init__(self, cluster, node, **config):
        self.cluster, self.node = cluster, node
        self.binary = cluster.binary
        self.run_dir = f"{node.folder}/run"
        self.bpf_dir = f"{cluster.bpf}/{node.name}"
        self.config_path = f"{node.folder}/nodeward.yaml"
        self.config = {
            "node": node.name,
            "trustDomain": "cluster.local",
            "source": {"manifests": cluster.manifests},
            "ca": {"embedded": cluster.ca},
            "runDir": self.run_dir,
            "bpfDir": self.bpf_dir,
            "cgroup": "auto",
            "kubelet": {"cgroup": "auto"},
            "workers": 2,
            "drain": "1s",
            "log": {"level": "info", "format": "text"},
        }
        self.config.update(config)
        self._starts = 0
        self._successors = 0
        self._process = None

    @property
    def pid(self):
        return self._process.pid

    def running(self):
        return self._process is not None and self._process.running()

    def launch(self):
        """Starts the program and does not wait."""
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(to_yaml(self.config) + "\n")
        self._starts += 1
        self._process = Process(
            self.node.enter(self.binary, "agent", "--config",
                            self.config_path),
            f"{self.node.folder}/agent-{self._starts}.log")

    def successor(self, **config):
        """Another agent of the same node, not launched yet."""
        self._successors += 1
        made = Agent(self.cluster, self.node)
        made.config = {**self.config, **config}
        made._starts = self._starts + 10 * self._successors
        return made

    def serves(self):
        """Is it this process that answers, not another agent of the node?"""
        with open(f"{self.run_dir}/lock", encoding="ascii") as lock:
            holder = lock.readline().strip()
        return holder == str(self.pid) and self.ready()

    def terminate(self):
        """SIGTERM, and goes on at once."""
        self._process.signal(signal.SIGTERM)

    def exit_status(self):
        return self._process.exit_status()

    def await_answer(self):
        await_that(f"agent {self.node.name} answers", self._answers, 60)

    def start(self):
        """Starts it and waits until it answers; the seconds that took."""
        begin = time.monotonic()
        self.launch()
        self.await_answer()
        return time.monotonic() - begin

    def _answers(self):
        if not self._process.running():
            raise RuntimeError(
                f"agent {self.node.name} ended with "
                f"{self._process.exit_status()}:\n{self.log()[-4000:]}")
        return self.command("status", "-o", "json").stdout.startswith("{")

    def kill(self):
        self._process.kill()

    def stop(self):
        """SIGTERM; what a sanitizer found is an error."""
        if self._process is None:
            return
        alive = self._process.running()
        status = self._process.stop(patience=30)
        if found := _SANITIZER.search(self.log()):
            raise RuntimeError(f"agent {self.node.name}: {found[0]}\n"
                               + self.log()[-6000:])
        if alive and status != 0:
            raise RuntimeError(f"agent {self.node.name}: exit {status} "
                               "on SIGTERM\n" + self.log()[-2000:])

    def uninstall(self):
        """Takes every hook, pin and rule away."""
        return run(*self.node.enter(
            self.binary, "uninstall", "--node", "--bpf-dir", self.bpf_dir,
            "--run-dir", self.run_dir),
            check=False, timeout=60)

    def log_path(self):
        return self._process.log_path

    def log(self):
        return self._process.output() if self._process else ""

    # --- what it says --------------------------------------------------------

    def command(self, *words):
        return run(*self.node.enter(
            self.binary, *words, "--run-dir", self.run_dir), check=False)

    def status(self, *words):
        return self.command("status", *words)

    def status_json(self):
        done = self.command("status", "-o", "json")
        return json.loads(done.stdout)

    def edge(self, source, destination):
        """How the agent shows what went from pod to pod: "√", the reason why
        it is not secured, or None when there is no such edge."""
        done = self.command("edges", "-o", "json")
        for row in json.loads(done.stdout):
            if (row["src_namespace"], row["src"]) == (
                    source.namespace, source.name) \
                    and (row["dst_namespace"], row["dst"]) == (
                        destination.namespace, destination.name):
                return row["no_tls_reason"] or "√"
        return None

    def pod_states(self):
        """{"namespace/name": ("enrolled", reason)} of the node's pods."""
        pods = self.status_json()["pods"]
        return {f"{pod['namespace']}/{pod['name']}":
                (pod["state"], pod.get("reason", "")) for pod in pods}

    def await_state(self, pod, state, deadline=20):
        """Until `pod` is in that state as `nodeward status` tells it."""
        def reached():
            return self.pod_states().get(pod.full_name, ("",))[0] == state
        try:
            await_that(f"{pod.full_name} is {state}", reached, deadline)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.status().stdout}") from None

    def get(self, port, path):
        """(status, body) of the agent's own HTTP ports."""
        with entered(self.node.netns):
            connection = http.client.HTTPConnection("127.0.0.1", port,
                                                    timeout=10)
            connection.connect()
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def ready(self):
        try:
            return self.get(15021, "/healthz/ready")[0] == 200
        except OSError:
            return False

    def metrics(self):
        """{"name{labels}": value} of the Prometheus endpoint."""
        values = {}
        for line in self.get(15020, "/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def pause(self):
        self._process.signal(signal.SIGSTOP)

    def go_on(self):
        self._process.signal(signal.SIGCONT)
