# SPDX-License-Identifier: Apache-2.0
"""python3 -m lib.apiserver PORT CERTIFICATE KEY: serves on 127.0.0.1 and does
what standard input says, a JSON object a line; answers likewise."""
import asyncio
import json
import random
import ssl
import sys
import time

from lib.apiserver.connection import Connection
from lib.apiserver.store import Store, dump, selector
from lib.apiserver.world import (DEPLOYMENTS, REPLICAS, Deployment, namespace,
                                 peer_authentication)

_BOOKMARKS = 60  # seconds
_BLOCK = 64 << 10
_END = {"k8s.io/initial-events-end": "true"}
_EXPIRED = dump({"type": "ERROR", "object": {
    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
    "message": "too old resource version: 1 (2)", "reason": "Expired",
    "code": 410}}) + b"\n"


def refusal(code, reason, message):
    return dump({"kind": "Status", "apiVersion": "v1", "metadata": {},
                 "status": "Failure", "message": message, "reason": reason,
                 "code": code})


class Watch:
    """One that is under way."""

    def __init__(self, kind, request, answer):
        self._kind, self._answer = kind, answer
        self._wants = selector(request.query.get("fieldSelector", ""))
        self.seconds = int(request.query.get("timeoutSeconds", 1800))
        loop = asyncio.get_running_loop()
        self._timers = [loop.call_later(self.seconds, self.end),
                        loop.call_later(_BOOKMARKS * random.random(),
                                        self._bookmark)]
        answer.on_gone = self._leave
        kind.watches.add(self)

    def tell(self, stored, line):
        if self._wants(stored):
            self._answer.send(line)

    def tell_everything(self):
        block = bytearray()
        for stored in list(self._kind.objects.values()):
            if self._wants(stored):
                block += self._kind.line(b"ADDED", stored)
                if len(block) > _BLOCK:
                    self._answer.send(bytes(block))
                    block.clear()
        self._answer.send(bytes(block) + self._kind.bookmark(_END))

    def _bookmark(self):
        self._answer.send(self._kind.bookmark())
        self._timers[1] = asyncio.get_running_loop().call_later(
            _BOOKMARKS, self._bookmark)

    def expire(self):
        self._answer.send(_EXPIRED)
        self.end()

    def end(self):
        self._leave()
        self._answer.end()

    def _leave(self):
        self._kind.watches.discard(self)
        for timer in self._timers:
            timer.cancel()


class Api:
    def __init__(self):
        self.store = Store()
        self.connections, self.closed = set(), []
        self.requests = {"list": 0, "stream": 0, "watch": 0, "other": 0}
        self._pages = {}  # continue -> (version, what is left)
        self._deployments = []
        self._streams = True
        self._storm = None
        self._losses = 0
        self._timeouts = []

    def connection(self):
        return Connection(self.serve, self.connections, self.closed)

    # --- requests ------------------------------------------------------------

    def serve(self, request, answer):
        kind = self.store.paths.get(request.path)
        if kind and request.method == "GET":
            if request.query.get("watch"):
                return self._watch(kind, request, answer)
            self.requests["list"] += 1
            return self._list(kind, request, answer)
        self.requests["other"] += 1
        if request.path == "/version":
            return answer.whole(200, dump({"major": "1", "minor": "34"}))
        if request.method == "PATCH" and request.path.endswith("/status"):
            return self._patch(request, answer)
        folder, _, name = request.path.rpartition("/")
        for stored in self.store.paths[folder].objects.values() \
                if folder in self.store.paths else ():
            if stored.name == name:
                return answer.whole(200, stored.text)
        return answer.whole(404, refusal(404, "NotFound", "there is none"))

    def _watch(self, kind, request, answer):
        streams = request.query.get("sendInitialEvents") == "true"
        self.requests["stream" if streams else "watch"] += 1
        if streams and not self._streams:
            return answer.whole(422, refusal(
                422, "Invalid", "sendInitialEvents: Forbidden: sendInitialEvent"
                "s is forbidden for watch unless the WatchList feature gate is "
                "enabled"))
        missed = []
        if not streams:
            missed = kind.since(int(request.query["resourceVersion"]))
        answer.head()
        if missed is None:
            answer.send(_EXPIRED)
            return answer.end()
        watch = Watch(kind, request, answer)
        self._timeouts.append(watch.seconds)
        if streams:
            watch.tell_everything()
        for _, stored, line in missed:
            watch.tell(stored, line)
        return None

    def _list(self, kind, request, answer):
        token = request.query.get("continue")
        if token:
            version, left = self._pages.pop(token)
        else:
            wants = selector(request.query.get("fieldSelector", ""))
            version = self.store.version
            left = [stored.text for stored in kind.objects.values()
                    if wants(stored)]
        size = int(request.query.get("limit", 0)) or len(left)
        page, left = left[:size], left[size:]
        more = ""
        if left:
            more = f"{version}.{len(self._pages)}.{random.random()}"
            self._pages[more] = (version, left)
        answer.whole(200, kind.list_head(version, more) + b",".join(page)
                     + b"]}")

    def _patch(self, request, answer):
        parts = request.path.split("/")  # /api/v1/namespaces/NS/pods/NAME/…
        pods = self.store.kinds["Pod"]
        stored = pods.objects.get(f"{parts[4]}/{parts[6]}")
        if not stored:
            return answer.whole(404, refusal(404, "NotFound", "no such pod"))
        pod = json.loads(stored.text)
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations |= json.loads(request.body)["metadata"]["annotations"]
        pod["metadata"]["annotations"] = {
            key: value for key, value in annotations.items()
            if value is not None}
        return answer.whole(200, pods.put(pod).text)

    # --- commands ------------------------------------------------------------

    async def do_put(self, kind, thing):
        """The moment (CLOCK_MONOTONIC, ns) at which it was sent."""
        self.store.kinds[kind].put(thing)
        return time.monotonic_ns()

    async def do_fill(self, pods):
        """So many pods, with what goes with them; the bytes of each kind."""
        kinds = self.store.kinds
        for number in range(pods // REPLICAS):
            if number % DEPLOYMENTS == 0:
                kinds["Namespace"].put(namespace(number // DEPLOYMENTS))
                kinds["PeerAuthentication"].put(
                    peer_authentication(number // DEPLOYMENTS))
            made = Deployment(number)
            self._deployments.append(made)
            kinds["Service"].put(made.service())
            kinds["EndpointSlice"].put(made.endpoint_slice())
            for place in range(REPLICAS):
                kinds["Pod"].put(made.pod(place))
        return {name: sum(len(stored.text) for stored in
                          kind.objects.values())
                for name, kind in kinds.items()}

    async def do_stream(self, on):
        """Whether streams may begin with everything (WatchList)."""
        self._streams = on

    async def do_stats(self):
        counts = self.closed + [one.bytes() for one in self.connections]
        return {"sent": sum(one[0] for one in counts),
                "received": sum(one[1] for one in counts),
                "requests": sum(self.requests.values()), **self.requests,
                "timeouts": self._timeouts}

    async def do_settled(self):
        """Every kind is watched, and all that was sent has arrived."""
        wanted = {kind: 2 if name == "Pod" else 1
                  for name, kind in self.store.kinds.items()}
        return all(len(kind.watches) == count
                   for kind, count in wanted.items()) and all(
                       one.drained() for one in self.connections)

    async def do_renew(self):
        """Every watch ends, as after its time."""
        for kind in self.store.kinds.values():
            for watch in list(kind.watches):
                watch.end()

    async def do_expire(self):
        """Nothing can be gone on from. One pod goes without a word; its key,
        and that of one that stays."""
        self._losses += 1
        made = self._deployments[-self._losses]
        lost = made.pod_key(0)
        self.store.kinds["Pod"].remove(lost, silently=True)
        for kind in self.store.kinds.values():
            kind.forget()
            for watch in list(kind.watches):
                watch.expire()
        return {"lost": lost, "kept": made.pod_key(1), "account": made.name}

    async def do_storm(self, rate, seconds):
        """Begins it: so many changes a second."""
        self._storm = asyncio.create_task(self._rage(rate, seconds))

    async def do_calm(self):
        """Waits for its end: how many changes there were, and how many seconds
        after the last one was due all had arrived."""
        return await self._storm

    async def _rage(self, rate, seconds):
        changes = self._changes()
        begin, done, total = time.monotonic(), 0, int(rate * seconds)
        while done < total:
            due = min(total, int((time.monotonic() - begin) * rate))
            for _ in range(due - done):
                next(changes)
            done = due
            await asyncio.sleep(0.002)
        while not all(one.drained() for one in self.connections):
            await asyncio.sleep(0.002)
        return {"changes": done,
                "late": time.monotonic() - begin - seconds}

    def _changes(self):
        """Rollouts, one pod after the other."""
        while True:
            for made in self._deployments:
                for place in range(REPLICAS):
                    for name, thing, key in made.replace(place):
                        kind = self.store.kinds[name]
                        if thing is None:
                            kind.remove(key)
                        else:
                            kind.put(thing)
                        yield


async def main(port, certificate, key):
    api = Api()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    loop = asyncio.get_running_loop()
    await loop.create_server(api.connection, "127.0.0.1", int(port),
                             ssl=context)
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(json.dumps("listening"), flush=True)
    while line := await reader.readline():
        words = json.loads(line)
        done = await getattr(api, "do_" + words.pop("do"))(**words)
        print(json.dumps(done), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
