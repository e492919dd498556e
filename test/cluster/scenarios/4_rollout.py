# SPDX-License-Identifier: Apache-2.0
"""The DaemonSet is rolled out anew under 500 connections a second: each node's
new agent takes over from the old one, and no connection is refused."""
import json
import threading
import time

from harness.process import await_that
from mesh import SYSTEM, account, deployment, peer_authentication

ONLY_WITH_ALL = True
RATE = 500

SERVER = """
import asyncio
async def serve(reader, writer):
    try:
        while data := await reader.read(4096):
            writer.write(data)
    except OSError:
        pass
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "0.0.0.0", 80, backlog=4096)
    await server.serve_forever()
asyncio.run(main())
"""

# RATE connections a second of 64 bytes each way, at their appointed times, and
# ten that stay: how many failed, when, and how long none succeeded.
LOAD = """
import asyncio, json, socket, sys, time
rate, seconds = int(sys.argv[1]), float(sys.argv[2])
address = socket.gethostbyname("echo.rollout"), 80
good, failed, held = [], [], []
async def exchange(loop, one):
    await loop.sock_sendall(one, b"x" * 64)
    if not await loop.sock_recv(one, 64):
        raise OSError("nothing came back")
async def short(loop, at):
    await asyncio.sleep(max(0, at - loop.time()))
    begin = loop.time()
    with socket.socket() as one:
        one.setblocking(False)
        try:
            async with asyncio.timeout(10):
                await loop.sock_connect(one, address)
                await exchange(loop, one)
            good.append((begin, loop.time()))
        except Exception as error:
            failed.append((begin, repr(error)))
async def long(loop):
    with socket.socket() as one:
        one.setblocking(False)
        await loop.sock_connect(one, address)
        begin = loop.time()
        try:
            while loop.time() < begin + seconds:
                await exchange(loop, one)
                await asyncio.sleep(0.2)
        except OSError:
            pass
        held.append(loop.time() - begin)
async def main():
    loop = asyncio.get_running_loop()
    first = loop.time() + 0.5
    tasks = [asyncio.create_task(long(loop)) for _ in range(10)]
    for n in range(int(rate * seconds)):
        tasks.append(asyncio.create_task(short(loop, first + n / rate)))
        if n % rate == 0:
            await asyncio.sleep(max(0, first + n / rate - 1 - loop.time()))
    await asyncio.gather(*tasks)
    begun = sorted(begin for begin, _ in good)
    print(json.dumps({
        "good": len(good), "failed": len(failed), "some": failed[:5],
        "lasted": max(begun) - min(begun),
        "gap": max(b - a for a, b in zip(begun, begun[1:])),
        "slowest": max(end - begin for begin, end in good),
        "held": sorted(round(one, 1) for one in held)}))
asyncio.run(main())
"""


def prepare(mesh):
    mesh.namespace("rollout", **{"nodeward.io/mesh": "enabled"})
    mesh.cluster.apply(
        peer_authentication("rollout", "STRICT"),
        account("echo", "rollout"), account("load", "rollout"),
        {"apiVersion": "v1", "kind": "Service",
         "metadata": {"name": "echo", "namespace": "rollout"},
         "spec": {"selector": {"app": "echo"}, "ports": [{"port": 80}]}},
        *(deployment(name, "rollout", "localhost/httpbin:1", node,
                     command=["/usr/bin/python3", "-c", program])
          for name, node, program in (
              ("echo", "node-b", SERVER),
              ("load", "node-a", "import time; time.sleep(100000)"))))
    for app in ("echo", "load"):
        mesh.cluster.await_pods("rollout", f"app={app}")
        mesh.await_state("rollout", app, "enrolled")


def under_load(mesh, what, seconds):
    """Does `what` a few seconds after the load has begun; what that saw."""
    seen = []

    def load():
        seen.append(mesh.cluster.kubectl(
            "exec", "-n", "rollout", "deploy/load", "--", "/usr/bin/python3",
            "-c", LOAD, str(RATE), str(seconds), check=False,
            timeout=seconds + 120))
    asking = threading.Thread(target=load)
    asking.start()
    time.sleep(4)  # so that it is under way
    begin = time.monotonic()
    what()
    took = time.monotonic() - begin
    asking.join()
    if seen[0].returncode != 0:
        raise RuntimeError(seen[0].stdout + seen[0].stderr)
    return json.loads(seen[0].stdout), took


def tell(s, what, result, took):
    s.note(f"{what}: {took:.1f} s; {result['good']} connections in "
           f"{result['lasted']:.0f} s, {result['failed']} failed "
           f"{result['some']}; longest time without one "
           f"{result['gap'] * 1000:.0f} ms, slowest "
           f"{result['slowest'] * 1000:.0f} ms; ten that stay lasted "
           f"{result['held'][0]} to {result['held'][-1]} s")


def agents(mesh):
    return sorted(pod["metadata"]["name"] for pod in mesh.cluster.get(
        "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/name=nodeward-agent"))


def roll(mesh):
    kubectl = mesh.cluster.kubectl
    kubectl("-n", SYSTEM, "rollout", "restart", "daemonset/nodeward-agent")
    kubectl("-n", SYSTEM, "rollout", "status", "daemonset/nodeward-agent",
            "--timeout=120s", timeout=130)


# Less memory than it has, until the kernel kills it.
STARVE = """
pid=$(pgrep -o -f '[n]odeward agent')
at=$(sed -n 's/^[0-9]*:memory://p' /proc/$pid/cgroup)
if [ -n "$at" ]; then
  at=/sys/fs/cgroup/memory$at limit=memory.limit_in_bytes
  usage=memory.usage_in_bytes
else
  at=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$pid/cgroup) limit=memory.max
  usage=memory.current
fi
while [ -d /proc/$pid ] && ! grep -q '^State:.*zombie' /proc/$pid/status; do
  echo $(($(cat $at/$usage) * 9 / 10)) > $at/$limit ||
    cat $at/$usage > $at/$limit
done 2> /dev/null
"""


def last_end(mesh, node):
    """Why the container of that node's agent ended the last time."""
    for pod in mesh.cluster.get("pods", "-n", SYSTEM, "-l",
                                "app.kubernetes.io/name=nodeward-agent"):
        if pod["spec"]["nodeName"] == node:
            state = pod["status"]["containerStatuses"][0]["lastState"]
            return state.get("terminated", {}).get("reason")
    return None


def scenario(s, mesh):
    mesh.ready()
    prepare(mesh)
    before = agents(mesh)
    result, took = under_load(mesh, lambda: roll(mesh), 45)
    tell(s, "rollout restart", result, took)
    s.check("connections that failed", result["failed"], 0)
    s.that(f"there were {RATE} a second",
           result["good"] == RATE * 45 and result["lasted"] < 60)
    await_that("the old pods are gone", lambda: len(agents(mesh)) == 2
               and not set(agents(mesh)) & set(before), 90, 0.5)
    for node in mesh.cluster.nodes:
        s.check(f"in charge on {node}",
                mesh.ask(node, "in-charge").returncode, 0)

    def kill():
        pid = mesh.cluster.b.run("pgrep", "-f", "[n]odeward agent")
        mesh.cluster.b.run("kill", "-9", *pid.stdout.split())

    # The deleted one serves on while it drains; its successor is there by then.
    result, took = under_load(mesh, lambda: mesh.cluster.kubectl(
        "-n", SYSTEM, "delete", "pod", mesh.agent("node-b"), "--wait=false"),
        45)
    tell(s, "one agent's pod deleted", result, took)
    s.check("connections that failed", result["failed"], 0)
    result, took = under_load(mesh, kill, 20)
    tell(s, "one agent killed", result, took)
    s.that("served again within 15 s", result["gap"] < 15)
    result, took = under_load(mesh, lambda: mesh.cluster.b.run(
        "sh", "-c", STARVE), 30)
    tell(s, "one agent out of memory", result, took)
    s.check("why it ended", last_end(mesh, "node-b"), "OOMKilled")
    s.that("served again within 25 s", result["gap"] < 25)
