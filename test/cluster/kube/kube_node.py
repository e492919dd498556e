# SPDX-License-Identifier: Apache-2.0
"""A node: namespaces of its own under one pid 1, and in them containerd, the
kubelet, kube-proxy and a CNI bridge, all at the paths they have everywhere.

Node number i is 10.89.0.i and fd89::i on the wire, and its pods are
10.246.i.0/24 and fd46:0:0:i::/64; IPv4 comes first. When its pid 1 is killed,
everything of the node is gone: processes, mounts, pins."""
import json
import os
import shutil
import subprocess

from harness.entering import write_sysctls
from harness.process import Process, await_that, run

_HERE = os.path.dirname(os.path.abspath(__file__))
# Of both families.
SERVICES = ("10.96.0.0/16", "fd96::/112")
PODS = ("10.246.0.0/16", "fd46::/56")
DNS = "10.96.0.10"


def _hierarchies():
    """Folders of the cgroup hierarchies, cgroup2 last."""
    found = {}
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        for line in mounts:
            left, right = line.split(" - ")
            kind = right.split()[0]
            # A chroot shows the same once more.
            if kind in ("cgroup", "cgroup2") and \
                    left.split()[4].startswith("/sys/fs/cgroup"):
                found[left.split()[4]] = kind
    return sorted(found, key=lambda at: (found[at] == "cgroup2", at))


class KubeNode:
    """`prefix` makes its names unique on the machine."""

    def __init__(self, folder, prefix, name, number, programs):
        self.name, self.number, self._programs = name, number, programs
        self.folder = f"{folder}/{name}"
        self.disk = f"{self.folder}/disk"
        self.netns = f"{prefix}-{name}"
        self.address = f"10.89.0.{number}"
        self.address6 = f"fd89::{number}"
        self.pod_cidr = f"10.246.{number}.0/24"
        self.pod_cidr6 = f"fd46:0:0:{number}::/64"
        self.bridge = f"10.246.{number}.1"
        self._pid = None
        self._init = None
        self._started = {}
        self._cgroups = [f"{at}/{self.netns}" for at in _hierarchies()]
        self._make_cgroups()
        self._make_disk()
        run("ip", "netns", "add", self.netns)
        # Nobody else has these addresses: they need not be asked for.
        write_sysctls(self.netns, {"net.ipv4.ip_forward": 1,
                                   "net.ipv6.conf.all.forwarding": 1,
                                   "net.ipv6.conf.default.accept_dad": 0})
        self.ip("link set lo up")

    # --- what is there before it boots -----------------------------------------

    def _make_cgroups(self):
        for at in self._cgroups:
            os.mkdir(at)
            for name in ("cpuset.cpus", "cpuset.mems"):
                above = f"{os.path.dirname(at)}/{name}"
                if "/unified/" not in at and os.path.exists(above):
                    with open(above, encoding="ascii") as file:
                        value = file.read()
                    with open(f"{at}/{name}", "w", encoding="ascii") as file:
                        file.write(value)

    def _make_disk(self):
        plugins = f"{self.disk}/opt/cni/bin"
        shutil.copytree("/usr/lib/cni", plugins)
        self._write("disk/resolv.conf", f"nameserver {DNS}\n"
                    "search svc.cluster.local cluster.local\n"
                    "options ndots:5 timeout:2\n")
        # What pods of dnsPolicy Default get; an empty one gives them the
        # machine's.
        self._write("upstream.conf", "nameserver 127.0.0.1\n")
        self._write("disk/etc/cni/net.d/10-pods.conflist", json.dumps({
            "cniVersion": "0.4.0", "name": "pods", "plugins": [
                {"type": "bridge", "bridge": "cni0", "isGateway": True,
                 "ipMasq": False, "hairpinMode": True,
                 "ipam": {"type": "host-local",
                          "ranges": [[{"subnet": self.pod_cidr}],
                                     [{"subnet": self.pod_cidr6}]],
                          "routes": [{"dst": "0.0.0.0/0"},
                                     {"dst": "::/0"}]}},
                {"type": "portmap", "capabilities": {"portMappings": True}}]}))
        self._write("containerd.toml", _CONTAINERD)

    def _write(self, path, text):
        path = f"{self.folder}/{path}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def ip(self, batch):
        run("ip", "-n", self.netns, "-batch", "-", stdin=batch)

    def connect_wire(self, other):
        self.ip(f"link add eth0 type veth peer name eth0 netns {other.netns}")
        for here, there in ((self, other), (other, self)):
            # The route to Services is for processes of the node itself: no
            # packet comes to kube-proxy's rules without one.
            here.ip(f"""
addr add {here.address}/24 dev eth0
addr add {here.address6}/64 dev eth0 nodad
link set eth0 up
route add {there.pod_cidr} via {there.address}
route add {there.pod_cidr6} via {there.address6}
route add {SERVICES[0]} dev eth0
route add {SERVICES[1]} dev eth0
""")

    # --- programs --------------------------------------------------------------

    def enter(self, *command):
        """The command line that runs `command` on this node."""
        return ["nsenter", "-t", str(self._pid), "-m", "-n", "-p", "-u", "-i",
                "-C", "--", *command]

    def run(self, *command, **options):
        return run(*self.enter(*command), **options)

    def run_inside(self, *command, **options):
        """The same as a process of the node's own cgroups, which hooks at
        their root see."""
        unified = self._cgroups[-1].rsplit("/", 1)[0]
        return self.run("sh", "-c", f"echo $$ > {unified}/init/cgroup.procs && "
                        'exec "$@"', "sh", *command, **options)

    def _join(self):
        """Shell words: this process into the node's cgroups."""
        return "".join(f"echo $$ > {at}/cgroup.procs && "
                       for at in self._cgroups)

    def boot(self):
        # cgroup2 refuses processes where controllers are given on.
        words = ["nsenter", f"--net=/run/netns/{self.netns}", "unshare",
                 "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--fork",
                 "--kill-child", "--propagation", "private",
                 f"{_HERE}/node_init", self.disk, self.name,
                 f"{self.folder}/../pause"]
        self._init = Process(["sh", "-c", self._join() + 'exec "$@"', "sh",
                              *words], f"{self.folder}/init.log")
        own = self._init.pid
        # nsenter and sh were exec'ed away: this is unshare.
        children = f"/proc/{own}/task/{own}/children"

        def pid_of_init():
            if not self._init.running():
                raise RuntimeError(f"{self.name} does not boot:\n"
                                   + self._init.output())
            with open(children, encoding="ascii") as file:
                found = file.read().split()
            if not found:
                return None
            with open(f"/proc/{found[0]}/comm", encoding="ascii") as file:
                return file.read() == "pause\n" and int(found[0])
        self._pid = await_that(f"{self.name} boots", pid_of_init)

    def start(self, name, *command, again=False):
        """A component in a cgroup of its own, as an init system would have it;
        `again`: and whenever it ends."""
        unified = self._cgroups[-1].rsplit("/", 1)[0]
        os.makedirs(f"{self._cgroups[-1]}/{name}", exist_ok=True)
        inside = f"echo $$ > {unified}/{name}/cgroup.procs && "
        inside += 'while :; do "$@"; sleep 1; done' if again else 'exec "$@"'
        outside = [word for at in self._cgroups[:-1]
                   for word in (f"echo $$ > {at}/cgroup.procs",)]
        self._started[name] = Process(
            ["sh", "-c", " && ".join([*outside, 'exec "$@"']), "sh",
             *self.enter("sh", "-c", inside, name, *command)],
            f"{self.folder}/{name}.log")
        return self._started[name]

    def signal(self, name, number):
        """To the process of that name (nsenter stands outside of it)."""
        self.run("pkill", f"-{number}", "-x", name)

    def start_containerd(self):
        self.start("containerd", "/usr/bin/containerd", "--config",
                   f"{self.folder}/containerd.toml")
        await_that(f"containerd of {self.name} answers", lambda: self.run(
            "ctr", "version", check=False).returncode == 0, 60, 0.2)

    def import_images(self, paths):
        for path in paths:
            self.run("ctr", "-n", "k8s.io", "images", "import", path,
                     timeout=300)

    def start_kubelet(self, plane, six_first=False):
        """`six_first`: pods' first addresses, which it probes, are IPv6."""
        addresses = [self.address, self.address6]
        if six_first:
            addresses.reverse()
        certificate = f"kubelet-{self.name}"
        plane.certify_server(
            certificate,
            f"DNS:{self.name},IP:{self.address},IP:{self.address6}")
        config = self._write("kubelet.json", json.dumps(_kubelet(
            plane, certificate, f"{self.folder}/upstream.conf")))
        user = f"system:node:{self.name}"
        # It ends when the CRI is still starting.
        self.start("kubelet", f"{self._programs}/kubelet",
                   f"--config={config}",
                   f"--node-ip={','.join(addresses)}",
                   "--kubeconfig=" + plane.kubeconfig(
                       f"node-{self.name}", user, "system:nodes"), again=True)

    def restart_kubelet(self, plane, **options):
        self._started["kubelet"].kill()
        self.start_kubelet(plane, **options)

    def start_proxy(self, plane):
        config = self._write("kube-proxy.json", json.dumps({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration", "mode": "iptables",
            "clusterCIDR": ",".join(PODS), "hostnameOverride": self.name,
            "conntrack": {"maxPerCore": 0, "min": 0},
            "clientConnection": {"kubeconfig": plane.kubeconfig(
                "kube-proxy", "system:kube-proxy")}}))
        self.start("kube-proxy", f"{self._programs}/kube-proxy",
                   f"--config={config}")

    def logs(self):
        paths = sorted(path for path in os.listdir(self.folder)
                       if path.endswith(".log"))
        text = ""
        for path in paths:
            with open(f"{self.folder}/{path}", encoding="utf-8",
                      errors="replace") as file:
                text += f"--- {self.name} {path}\n{file.read()[-2000:]}\n"
        return text

    # --- the end -----------------------------------------------------------------

    def die(self):
        """As when its power fails."""
        for process in self._started.values():
            process.kill()
        if self._init:
            self._init.kill()
        self._started.clear()
        self._remove_kubepods()

    def _remove_kubepods(self):
        """Each one left costs the next kubelet three seconds."""
        for at in self._cgroups:
            for folder, _, _ in os.walk(at, topdown=False):
                if folder != at:
                    await_that(f"{folder} is empty",
                               lambda one=folder: _removed(one), 20)

    def close(self):
        self.die()
        for at in self._cgroups:
            await_that(f"{at} is empty", lambda one=at: _removed(one))
        run("ip", "netns", "del", self.netns)


def _removed(cgroup):
    try:
        os.rmdir(cgroup)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


_CONTAINERD = """\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  # Else a machine without CAP_SYS_RESOURCE starts no sandbox.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
"""


def _kubelet(plane, certificate, resolv_conf):
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": False},
                           "webhook": {"enabled": True},
                           "x509": {"clientCAFile": plane.roots}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{plane.folder}/{certificate}.crt",
        "tlsPrivateKeyFile": f"{plane.folder}/{certificate}.key",
        "cgroupDriver": "cgroupfs", "cgroupRoot": "/",
        "clusterDNS": [DNS], "clusterDomain": "cluster.local",
        "failCgroupV1": False, "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "resolvConf": resolv_conf, "imageGCHighThresholdPercent": 100,
        "evictionHard": {name: "0%" for name in (
            "memory.available", "nodefs.available", "nodefs.inodesFree",
            "imagefs.available", "imagefs.inodesFree")}}
