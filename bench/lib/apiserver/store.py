# SPDX-License-Identifier: Apache-2.0
"""What an API server has of each kind, by version, and who is to be told."""
import collections
import json

# Events that a watch may go on from.
_KEPT = 200_000


def dump(thing):
    return json.dumps(thing, separators=(",", ":")).encode()


def key_of(thing):
    meta = thing["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if "namespace" in meta \
        else meta["name"]


# An object as it is sent; `node` and `name` are what selectors look at.
Stored = collections.namedtuple("Stored", "version text node name")


def selector(text):
    """The test for the `fieldSelector` of a request."""
    terms = []
    for part in filter(None, text.split(",")):
        field, equal, value = part.partition("=")
        differs = field.endswith("!")
        index = {"spec.nodeName": 2, "metadata.name": 3}[field.rstrip("!")]
        assert equal
        terms.append((index, differs, value))
    return lambda stored: all(
        (stored[index] == value) != differs
        for index, differs, value in terms)


class Kind:
    """One resource, at `path`."""

    def __init__(self, store, path, kind, version):
        self.path, self._store = path, store
        self.objects = {}
        self.watches = set()
        self.forgotten = 0  # versions up to this are no place to go on from
        self._events = collections.deque(maxlen=_KEPT)
        self._head = dump({"kind": kind, "apiVersion": version})[:-1] + b","
        self._kind, self._version = kind, version

    def put(self, thing):
        key = key_of(thing)
        known = key in self.objects
        thing["metadata"]["resourceVersion"] = str(self._store.next())
        # Every object in a watch says what it is; in a list none does.
        thing = {name: value for name, value in thing.items()
                 if name not in ("kind", "apiVersion")}
        self.objects[key] = stored = Stored(
            self._store.version, dump(thing),
            thing.get("spec", {}).get("nodeName", ""),
            thing["metadata"]["name"])
        self._tell(b"MODIFIED" if known else b"ADDED", stored)
        return stored

    def remove(self, key, silently=False):
        stored = self.objects.pop(key)._replace(version=self._store.next())
        if not silently:
            self._tell(b"DELETED", stored)

    def line(self, kind, stored):
        return b'{"type":"%s","object":%s%s}\n' % (kind, self._head,
                                                   stored.text[1:])

    def bookmark(self, annotations=None):
        meta = {"resourceVersion": str(self._store.version)}
        if annotations:
            meta["annotations"] = annotations
        return dump({"type": "BOOKMARK", "object": {
            "kind": self._kind, "apiVersion": self._version,
            "metadata": meta}}) + b"\n"

    def list_head(self, version, more):
        """All of a list's text before its items."""
        meta = {"resourceVersion": str(version)}
        if more:
            meta["continue"] = more
        return dump({"kind": self._kind + "List", "apiVersion": self._version,
                     "metadata": meta})[:-1] + b',"items":['

    def since(self, version):
        """The events after that version; None: it is forgotten."""
        if version < self.forgotten:
            return None
        return [event for event in self._events if event[0] > version]

    def forget(self):
        self.forgotten = self._store.version
        self._events.clear()

    def _tell(self, kind, stored):
        line = self.line(kind, stored)
        self._events.append((self._store.version, stored, line))
        for watch in self.watches:
            watch.tell(stored, line)


class Store:
    _PATHS = (
        ("Namespace", "v1", "/api/v1/namespaces"),
        ("Pod", "v1", "/api/v1/pods"),
        ("Service", "v1", "/api/v1/services"),
        ("EndpointSlice", "discovery.k8s.io/v1",
         "/apis/discovery.k8s.io/v1/endpointslices"),
        ("PeerAuthentication", "security.istio.io/v1",
         "/apis/security.istio.io/v1/peerauthentications"),
        ("AuthorizationPolicy", "security.istio.io/v1",
         "/apis/security.istio.io/v1/authorizationpolicies"),
        ("DestinationRule", "networking.istio.io/v1",
         "/apis/networking.istio.io/v1/destinationrules"),
        ("ServiceEntry", "networking.istio.io/v1",
         "/apis/networking.istio.io/v1/serviceentries"),
        ("DaemonSet", "apps/v1",
         "/apis/apps/v1/namespaces/nodeward-system/daemonsets"))

    def __init__(self):
        self.version = 1000
        self.kinds = {kind: Kind(self, path, kind, version)
                      for kind, version, path in self._PATHS}
        self.paths = {kind.path: kind for kind in self.kinds.values()}

    def next(self):
        self.version += 1
        return self.version
