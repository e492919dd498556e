# SPDX-License-Identifier: Apache-2.0
"""The stage of the main job: two nodes, four namespaces, real programs.

   node-a                            node-b
     full/sleep        in the mesh     mtls-test/httpbin   in the mesh
     mtls-test/sleep   in the mesh     mtls-test/mariadb   in the mesh
     legacy/sleep      outside         mtls-test/sleep-b   in the mesh
     mtls-test/redis   in the mesh     kubelet stand-in, in its own cgroup
     mtls-test/mongo-client  in it     mongo/mongo         outside
     mongo/client      outside
"""
import os

from harness import Cluster, await_that
from harness.mariadb import Mariadb

HEADERS = {"path": "/headers", "port": "http"}


class Stage:
    """Puts everything up; close() takes it down."""

    def __init__(self, binary, terminal):
        self.cluster = cluster = Cluster(binary, dns=True, name="nodeward-demo-")
        try:
            self.node_a = cluster.nodes["node-a"]
            self.node_b = cluster.nodes["node-b"]
            self._database = Mariadb(cluster)
            terminal.note("namespaces full and mtls-test (opted in by label), "
                          "legacy and mongo (not)")
            cluster.namespace("full", mesh="enabled")
            cluster.namespace("mtls-test", mesh="enabled")
            cluster.namespace("legacy")
            cluster.namespace("mongo")
            self._make_pods()
            self._make_services()
            terminal.note("programs: httpbin under gunicorn, Redis, MariaDB, "
                          "curl as sleep")
            self._start_programs()
            terminal.note("what a cluster brings: names by dnsmasq, ClusterIPs "
                          "for pods outside the mesh by DNAT, a kubelet")
            self.kubelet = self.node_b.start_kubelet()
            self.node_b.masquerade_node_port(30080, self.httpbin.ip4, 80)
        except BaseException:
            self.close()
            raise

    def _make_pods(self):
        def pod(name, node, **more):
            return self.cluster.pod(name, node, **more)

        self.full = pod("full/sleep", self.node_a)
        self.meshed = pod("mtls-test/sleep", self.node_a)
        self.legacy = pod("legacy/sleep", self.node_a)
        self.redis = pod("mtls-test/redis", self.node_a,
                         ports={"redis": 6379})
        self.neighbour = pod("mtls-test/sleep-b", self.node_b,
                             account="sleep")
        self.httpbin = pod(
            "mtls-test/httpbin", self.node_b, labels={"version": "v1"},
            ports={"http": 80, "other": 9090},
            probes={"liveness": {"httpGet": HEADERS, "periodSeconds": 5}})
        self.mariadb = pod("mtls-test/mariadb", self.node_b,
                           ports={"mysql": 3306})
        self.mongo = pod("mongo/mongo", self.node_b, ports={"mongo": 27017})
        self.mongo_outside = pod("mongo/client", self.node_a)
        self.mongo_client = pod("mtls-test/mongo-client", self.node_a)

    def _make_services(self):
        service = self.cluster.service
        self.httpbin_vip = service("mtls-test/httpbin",
                                   {"http": (8000, 80)})[0]
        service("mtls-test/redis", {"redis": (6379, 6379)})
        service("mtls-test/mariadb", {"mysql": (3306, 3306)})
        service("mongo/mongo", {"mongo": (27017, 27017)}, headless=True)

    def _start_programs(self):
        folder = self.cluster.folder
        self.httpbin.spawn(
            "gunicorn", "--bind=[::]:80", "--bind=[::]:9090", "--workers=2",
            "--threads=4", "--worker-tmp-dir=/dev/shm", "--keep-alive=60",
            "httpbin:app")
        self.redis.spawn("redis-server", "--port", "6379", "--bind", "*",
                         "-::*", "--protected-mode", "no", "--save", "",
                         "--dir", folder)
        for pod in (self.full, self.meshed, self.legacy, self.neighbour):
            pod.spawn("sleep", "3650d")
        self._database.start(self.mariadb)
        for pod, port in ((self.httpbin, 80), (self.redis, 6379)):
            try:
                await_that(f"{pod.full_name} listens on {port}", lambda at=pod,
                           number=port: _listens(at, number), 60)
            except TimeoutError as error:
                raise RuntimeError(
                    f"{error}\n{pod.processes[0].output()}") from error

    def pods(self):
        return list(self.cluster.pods.values())

    def meshed_pods(self):
        return [pod for pod in self.pods()
                if pod.namespace in ("full", "mtls-test")]

    def program_ids(self):
        """What "no pod touched" means: every program and namespace as is."""
        return [(pod.full_name, os.stat(f"/run/netns/{pod.netns}").st_ino,
                 process.pid, process.running())
                for pod in self.pods() for process in pod.processes]

    def close(self):
        self.cluster.close()


def _listens(pod, port):
    try:
        with pod.open_socket() as client:
            client.settimeout(2)
            client.connect(("127.0.0.1", port))
        return True
    except OSError:
        return False
