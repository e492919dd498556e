# SPDX-License-Identifier: Apache-2.0
import time

from lib.apiserver.stand_in import ApiServer, forget_peak, own_kb, resident_kb
from lib.process import Failure, Process, cpu_nanoseconds, run
from lib.scenarios.base import Metric, Scenario
from lib.scenarios.enrolment import Watch, percentile
from lib.systems.agent import (NAMESPACE, OUTSIDE_NAMESPACE, Agent, namespace,
                               remote_pod, strict)
from lib.tools import ECHO_PORT

_NODE = "f"
_HELD = 200           # connections through the mesh
_STEADY = 120         # seconds; bookmarks come every minute
_RATE, _STORM = 1000, 10  # changes a second, seconds
_FLIPS = 10
_PAUSE = 1  # seconds; a change on its own
_HOUR = 3600
# Each by streams that begin with everything, and by lists in pages.
_BOTH_WAYS = tuple(
    (f"{when} {what}{how}".replace(" seconds", ""), unit)
    for when in ("start", "relist") for how in ("", " by pages")
    for what, unit in (("seconds", "s"), ("sent", "MB"), ("requests", ""),
                       ("cpu", "s"),
                       ("peak" if when == "start" else "grown", "MB")))


class Kubernetes(Scenario):
    """One agent that follows an API server with N pods of other nodes: what it
    costs to start, to rest, in a storm of rollouts and when the server forgets
    all versions (410 on every watch). Delays are those of a change of a label,
    from the API server to its effect on new connections. Connections through
    the mesh must survive everything, and no pod may be unknown for a moment.
    The node is this scenario's own."""

    systems = ("nodeward",)
    alone = True
    quick = False
    metrics = tuple(
        Metric(name, unit, plotted=False) for name, unit in (
            ("memory each", "KB"), ("memory", "MB"), *_BOTH_WAYS,
            ("effect p50", "ms"), ("effect max", "ms"),
            ("steady sent", "KB/h"), ("steady received", "KB/h"),
            ("steady requests", "1/h"), ("steady cpu", "% of a core"),
            ("storm rate", "1/s"), ("storm sent", "MB/s"),
            ("storm cpu", "% of a core"), ("storm behind", "s"),
            ("storm effect p50", "ms"), ("storm effect max", "ms"),
            ("storm grown", "MB"), ("pod", "KB"), ("EndpointSlice", "KB")))

    def __init__(self, count):
        self.count = count
        self.name = f"kubernetes-{count}"
        self.title = f"Kubernetes API with {count:,} pods".replace(",", " ")

    def rounds(self, plan):
        del plan
        return 1

    def measure(self, bench, system):
        del system
        site = _Site(bench)
        try:
            return site.measure(self.count)
        finally:
            site.close()


class _Site:
    """Node f: a meshed server, a meshed client and one outside of the mesh."""

    def __init__(self, bench):
        self.bench = bench
        node = bench.network.node(_NODE)
        self.pods = {name: node.add_pod(f"api-{name}")
                     for name in ("server", "client", "outsider")}
        self.server = self.pods["server"]
        self.cgroup = bench.cgroups.of(f"node-{_NODE}")
        bench.tools.serve(self.server, self.cgroup, kinds=("echo",))
        self.api = ApiServer(bench, node)
        self.agent = Agent(bench, node, self.api)
        for thing in (namespace(NAMESPACE, True),
                      namespace(OUTSIDE_NAMESPACE, False),
                      strict("closed", NAMESPACE, {"door": "closed"}),
                      _daemonset()):
            self.api.put(thing)
        for name, where in (("server", NAMESPACE), ("client", NAMESPACE),
                            ("outsider", OUTSIDE_NAMESPACE)):
            pod = self.pods[name]
            self.api.put_pod(pod, _own(pod, where, "open"))

    def close(self):
        self.agent.stop()
        self.api.close()

    def measure(self, count):
        """All figures of one round."""
        self._start()
        fixed = self._rest()
        sizes = self.api.do("fill", pods=count)
        values = {"pod": sizes["Pod"] / count / 1000,
                  "EndpointSlice": sizes["EndpointSlice"] / count * 5 / 1000}
        self.api.do("stream", on=False)
        values |= self._start(" by pages")
        values |= self._relist(" by pages")
        self.api.do("stream", on=True)
        values |= self._start()
        memory = self._rest()
        values |= {"memory": memory / 1024,
                   "memory each": (memory - fixed) / count}
        values |= self._steady()
        values |= _spread(self._flip(_PAUSE) for _ in range(_FLIPS))
        values |= self._storm()
        values |= self._relist()
        return values

    # --- parts ---------------------------------------------------------------

    def _start(self, how=""):
        """The agent anew."""
        self.agent.stop()
        before = self.api.do("stats")
        began = time.monotonic()
        self.agent.start()
        self.agent.await_ready(limit=300)
        self.agent.await_enrolled([self.pods["server"].name,
                                   self.pods["client"].name], limit=300)
        self.api.await_settled()
        seconds = time.monotonic() - began
        return {f"start{how}": seconds, f"start peak{how}":
                resident_kb(self.agent.process, peak=True) / 1024,
                f"start cpu{how}": self._cpu() / 1e9,
                **self._sent(before, f"start sent{how}",
                             f"start requests{how}")}

    def _cpu(self):
        return cpu_nanoseconds([self.agent.process])

    def _sent(self, before, sent, requests):
        now = self.api.do("stats")
        return {sent: (now["sent"] - before["sent"]) / 1e6,
                requests: now["requests"] - before["requests"]}

    def _rest(self):
        """The agent's memory when all is quiet, program and libraries aside:
        in KB."""
        time.sleep(self.bench.plan.settle)
        return own_kb(self.agent.process)

    def _steady(self):
        """Nothing happens for a while; and what the ends of watches cost,
        which come every few minutes, is added at their rate."""
        before, spent = self.api.do("stats"), self._cpu()
        time.sleep(_STEADY)
        rest, spent = self.api.do("stats"), self._cpu() - spent
        self.api.do("renew")
        self.api.await_settled()
        after = self.api.do("stats")
        renewals = _HOUR * len(after["timeouts"]) / sum(after["timeouts"])

        def hourly(name):
            return (rest[name] - before[name]) * _HOUR / _STEADY \
                + (after[name] - rest[name]) * renewals
        return {"steady sent": hourly("sent") / 1000,
                "steady received": hourly("received") / 1000,
                "steady requests": hourly("requests"),
                "steady cpu": spent / 1e7 / _STEADY}

    def _storm(self):
        held = _Held(self)
        forget_peak(self.agent.process)
        memory = resident_kb(self.agent.process)
        before, spent = self.api.do("stats"), self._cpu()
        began = time.monotonic()
        self.api.do("storm", rate=_RATE, seconds=_STORM)
        effects = []
        while time.monotonic() - began < _STORM - 1:
            effects.append(self._flip())
        calm = self.api.do("calm")
        seconds = time.monotonic() - began
        spent = self._cpu() - spent
        effects.append(self._flip())
        held.check()
        grown = resident_kb(self.agent.process, peak=True) - memory
        sent = self._sent(before, "bytes", "requests")["bytes"]
        return {"storm rate": calm["changes"] / seconds,
                "storm sent": sent / seconds,
                "storm cpu": spent / 1e7 / seconds,
                "storm behind": calm["late"], "storm grown": grown / 1024,
                **_spread(effects, "storm ")}

    def _relist(self, how=""):
        held = _Held(self)
        forget_peak(self.agent.process)
        memory = resident_kb(self.agent.process)
        before, spent = self.api.do("stats"), self._cpu()
        began = time.monotonic()
        one = self.api.do("expire")

        def known():
            if not self._knows(one["kept"], one["account"]):
                raise Failure(f"{one['kept']} is not known for a moment")
        self.api.await_settled(meanwhile=known)
        seconds = time.monotonic() - began
        spent = self._cpu() - spent
        self._flip()
        if self._knows(one["lost"], one["account"]):
            raise Failure(f"{one['lost']} is gone and still known")
        held.check()
        grown = resident_kb(self.agent.process, peak=True) - memory
        return {f"relist{how}": seconds, f"relist cpu{how}": spent / 1e9,
                f"relist grown{how}": grown / 1024,
                **self._sent(before, f"relist sent{how}",
                             f"relist requests{how}")}

    def _knows(self, pod, account):
        """Would the agent let that pod be spoken to?"""
        where = pod.partition("/")[0]
        said = run("sh", "-c", '"$@" > /dev/null && echo yes', "sh",
                   self.bench.nodeward, "policy", "test", "--run-dir",
                   self.agent.folder / "run", "--from",
                   f"cluster.local/ns/{where}/sa/{account}", "--to", pod,
                   "--port", "8080", netns=self.agent.node.netns, check=False)
        return said.strip() == "yes"

    def _flip(self, pause=0):
        """Closes the door to plaintext and opens it again, each after a pause;
        the slower of the two, in seconds."""
        outsider = self.pods["outsider"]
        effects = []
        for until, door in (("refusal", "closed"), ("answer", "open")):
            time.sleep(pause)
            watch = Watch(self.bench, outsider, self.server.ip, until)
            moment = self.api.put(_own(self.server, NAMESPACE, door))
            effects.append(watch.seconds_since(moment))
        return max(effects)


class _Held:
    """Connections of the meshed client to the meshed server."""

    def __init__(self, site):
        self._process = Process(
            [site.bench.tools.load, "hold", "--to",
             f"{site.server.ip}:{ECHO_PORT}", "--connections", _HELD],
            site.bench.workdir / "held.log", netns=site.pods["client"].netns,
            cgroup=site.cgroup, talks=True)
        self._expect(f'{{"held": {_HELD}}}')

    def _expect(self, line):
        said = self._process.popen.stdout.readline().strip()
        if said != line:
            raise Failure(f"connections were lost: {said} instead of {line} "
                          f"{self._process.tail()}")

    def check(self):
        """Ends them: all are as they were."""
        self._process.popen.stdin.close()
        self._expect(f'{{"alive": {_HELD}}}')
        self._process.stop()


def _own(pod, where, door):
    """The object of a pod of this node; the mark that its agent has written
    stays, as when its kubelet writes."""
    marks = {"ambient.istio.io/redirection": "enabled",
             "nodeward.io/redirection": "enabled"}
    return remote_pod(pod.name, f"node-{_NODE}", pod.ip, where, {"door": door},
                      annotations=marks if where == NAMESPACE else None)


def _daemonset():
    return {"apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"name": "nodeward-agent", "uid": "daemonset",
                         "namespace": "nodeward-system"}, "spec": {}}


def _spread(effects, what=""):
    effects = list(effects)
    return {f"{what}effect p50": percentile(effects, 0.5) * 1000,
            f"{what}effect max": max(effects) * 1000}
