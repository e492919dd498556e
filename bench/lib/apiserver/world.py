# SPDX-License-Identifier: Apache-2.0
"""The objects of a made-up cluster: Deployments of five, each with a Service
and a ServiceAccount of its own, as a real API server shows them."""
import uuid

REPLICAS = 5        # of a Deployment
DEPLOYMENTS = 20    # in a namespace
PODS_ON_A_NODE = 30
MARK = "ambient.istio.io/redirection"
_TIME = "2026-01-05T09:14:27Z"
_HASH = "5d9f7c6b8"


def namespace(number):
    return {"metadata": {
        "name": f"team-{number:03}", "uid": _uid("namespace", number),
        "creationTimestamp": _TIME,
        "labels": {"kubernetes.io/metadata.name": f"team-{number:03}",
                   "nodeward.io/mesh": "enabled"},
        "managedFields": [_managed("kubectl-create", {
            "f:metadata": {"f:labels": {".": {}, "f:nodeward.io/mesh": {}}}})]},
        "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}


def peer_authentication(number):
    return {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
            "metadata": {"name": "default", "namespace": f"team-{number:03}",
                         "uid": _uid("policy", number), "generation": 1,
                         "creationTimestamp": _TIME},
            "spec": {"mtls": {"mode": "STRICT"}}}


class Deployment:
    """One of them, its pods and what stands for them. `births` tells the pods
    that had a place before from those that have it now."""

    def __init__(self, number):
        self.number = number
        self.name = f"web-{number:05}"
        self.namespace = f"team-{number // DEPLOYMENTS:03}"
        self.births = [0] * REPLICAS

    def service(self):
        labels = {"app.kubernetes.io/name": self.name}
        return {"metadata": {
            "name": self.name, "namespace": self.namespace,
            "uid": _uid("service", self.number), "creationTimestamp": _TIME,
            "labels": labels, "managedFields": [_managed("helm", {
                "f:metadata": {"f:labels": {".": {}}},
                "f:spec": {"f:internalTrafficPolicy": {}, "f:ports": {
                    ".": {}}, "f:selector": {}, "f:type": {}}})]},
            "spec": {"type": "ClusterIP", "selector": labels,
                     "clusterIP": self._service_ip(),
                     "clusterIPs": [self._service_ip()],
                     "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                     "internalTrafficPolicy": "Cluster",
                     "sessionAffinity": "None", "ports": [
                         {"name": "http-web", "port": 80, "protocol": "TCP",
                          "targetPort": 8080},
                         {"name": "tcp-metrics", "port": 9090,
                          "protocol": "TCP", "targetPort": 9090}]},
            "status": {"loadBalancer": {}}}

    def _service_ip(self):
        return f"172.20.{self.number // 250}.{self.number % 250 + 2}"

    def endpoint_slice(self):
        return {"metadata": {
            "name": f"{self.name}-x7k2p", "namespace": self.namespace,
            "uid": _uid("slice", self.number), "generateName": self.name + "-",
            "creationTimestamp": _TIME, "generation": 1,
            "labels": {
                "app.kubernetes.io/name": self.name,
                "endpointslice.kubernetes.io/managed-by":
                    "endpointslice-controller.k8s.io",
                "kubernetes.io/service-name": self.name},
            "ownerReferences": [_owner("v1", "Service", self.name,
                                       _uid("service", self.number))],
            "managedFields": [_managed("kube-controller-manager", {
                "f:addressType": {}, "f:endpoints": {}, "f:metadata": {
                    "f:generateName": {}, "f:labels": {".": {}},
                    "f:ownerReferences": {".": {}}}, "f:ports": {}})]},
            "addressType": "IPv4",
            "endpoints": [self._endpoint(place) for place in range(REPLICAS)],
            "ports": [{"name": "http-web", "port": 8080, "protocol": "TCP"},
                      {"name": "tcp-metrics", "port": 9090,
                       "protocol": "TCP"}]}

    def _endpoint(self, place):
        return {"addresses": [self._ip(place)], "nodeName": self._node(place),
                "conditions": {"ready": True, "serving": True,
                               "terminating": False},
                "targetRef": {"kind": "Pod", "name": self.pod_name(place),
                              "namespace": self.namespace,
                              "uid": self._pod_uid(place)}}

    # --- pods -----------------------------------------------------------------

    def pod_name(self, place):
        return f"{self.name}-{_HASH}-{self.births[place]:02x}{place:03x}"

    def pod_key(self, place):
        return f"{self.namespace}/{self.pod_name(place)}"

    def _index(self, place):
        return self.number * REPLICAS + place

    def _pod_uid(self, place):
        return _uid(f"pod-{self.births[place]}", self._index(place))

    def _node(self, place):
        # Replicas stand on different nodes.
        count = max(1, (self.number + 1) // PODS_ON_A_NODE)
        return f"node-{(self.number * 7 + place * 11) % (count * 5):04}"

    def _ip(self, place):
        index = self._index(place)
        return (f"10.{100 + index // 60000 + 50 * (self.births[place] % 2)}."
                f"{index // 250 % 240}.{index % 250 + 2}")

    def pod(self, place, running=True):
        """As it is once it runs, or when its kubelet has just seen it."""
        name, uid, account = self.pod_name(place), self._pod_uid(place), \
            self.name
        labels = {"app.kubernetes.io/name": self.name, "version": "v1",
                  "tier": f"t{self.number % 7}", "pod-template-hash": _HASH}
        annotations = {"kubectl.kubernetes.io/restartedAt": _TIME}
        if running:
            annotations[MARK] = "enabled"
        return {"metadata": {
            "name": name, "generateName": f"{self.name}-{_HASH}-",
            "namespace": self.namespace, "uid": uid,
            "creationTimestamp": _TIME, "labels": labels,
            "annotations": annotations,
            "ownerReferences": [_owner(
                "apps/v1", "ReplicaSet", f"{self.name}-{_HASH}",
                _uid("replicas", self.number))],
            "managedFields": _MANAGED_OF_POD},
            "spec": _spec(account, self._node(place)),
            "status": _status(self._ip(place), running)}

    def replace(self, place):
        """What a rollout does to one pod, event by event: (kind, object or
        None, key)."""
        former = self.pod_key(place)
        self.births[place] += 1
        key = self.pod_key(place)
        yield "Pod", self.pod(place, running=False), key
        yield "Pod", self.pod(place), key
        yield ("EndpointSlice", self.endpoint_slice(),
               f"{self.namespace}/{self.name}-x7k2p")
        yield "Pod", None, former


def _uid(what, number):
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{what}/{number}"))


def _owner(version, kind, name, uid):
    return {"apiVersion": version, "kind": kind, "name": name, "uid": uid,
            "controller": True, "blockOwnerDeletion": True}


def _managed(manager, fields, subresource=None):
    entry = {"manager": manager, "operation": "Update", "apiVersion": "v1",
             "time": _TIME, "fieldsType": "FieldsV1", "fieldsV1": fields}
    if subresource:
        entry["subresource"] = subresource
    return entry


def _conditions():
    return {f'k:{{"type":"{name}"}}': {
        ".": {}, "f:lastProbeTime": {}, "f:lastTransitionTime": {},
        "f:status": {}, "f:type": {}} for name in (
            "ContainersReady", "Initialized", "PodReadyToStartContainers",
            "Ready")}


_MANAGED_OF_POD = [
    _managed("kube-controller-manager", {
        "f:metadata": {
            "f:annotations": {".": {}, "f:kubectl.kubernetes.io/restartedAt":
                              {}},
            "f:generateName": {}, "f:labels": {
                ".": {}, "f:app.kubernetes.io/name": {},
                "f:pod-template-hash": {}, "f:tier": {}, "f:version": {}},
            "f:ownerReferences": {".": {}}},
        "f:spec": {
            "f:containers": {'k:{"name":"app"}': {
                ".": {}, "f:env": {".": {}, 'k:{"name":"POD_IP"}': {
                    ".": {}, "f:name": {}, "f:valueFrom": {
                        ".": {}, "f:fieldRef": {}}}},
                "f:image": {}, "f:imagePullPolicy": {},
                "f:livenessProbe": {".": {}, "f:failureThreshold": {},
                                    "f:httpGet": {".": {}, "f:path": {},
                                                  "f:port": {},
                                                  "f:scheme": {}},
                                    "f:periodSeconds": {},
                                    "f:successThreshold": {},
                                    "f:timeoutSeconds": {}},
                "f:name": {}, "f:ports": {".": {}}, "f:resources": {
                    ".": {}, "f:limits": {".": {}, "f:memory": {}},
                    "f:requests": {".": {}, "f:cpu": {}, "f:memory": {}}},
                "f:terminationMessagePath": {},
                "f:terminationMessagePolicy": {}}},
            "f:dnsPolicy": {}, "f:enableServiceLinks": {},
            "f:restartPolicy": {}, "f:schedulerName": {},
            "f:securityContext": {}, "f:serviceAccount": {},
            "f:serviceAccountName": {},
            "f:terminationGracePeriodSeconds": {}}}),
    _managed("kubelet", {"f:status": {
        "f:conditions": _conditions(), "f:containerStatuses": {},
        "f:hostIP": {}, "f:hostIPs": {}, "f:phase": {}, "f:podIP": {},
        "f:podIPs": {}, "f:startTime": {}}}, "status")]


def _probe(path):
    return {"httpGet": {"path": path, "port": "http-web", "scheme": "HTTP"},
            "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1,
            "failureThreshold": 3}


def _spec(account, node):
    return {
        "volumes": [{"name": "kube-api-access-h2xq9", "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607,
                                         "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [
                    {"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {
                    "apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}}],
            "defaultMode": 420}}],
        "containers": [{
            "name": "app",
            "image": f"registry.example.org/shop/{account}@sha256:"
                     "4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c4"
                     "4de311d1",
            "ports": [{"name": "http-web", "containerPort": 8080,
                       "protocol": "TCP"},
                      {"name": "tcp-metrics", "containerPort": 9090,
                       "protocol": "TCP"}],
            "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {
                "apiVersion": "v1", "fieldPath": "status.podIP"}}}],
            "resources": {"limits": {"memory": "512Mi"},
                          "requests": {"cpu": "100m", "memory": "256Mi"}},
            "volumeMounts": [{
                "name": "kube-api-access-h2xq9", "readOnly": True, "mountPath":
                    "/var/run/secrets/kubernetes.io/serviceaccount"}],
            "livenessProbe": _probe("/live"),
            "readinessProbe": _probe("/ready"),
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent"}],
        "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst", "serviceAccountName": account,
        "serviceAccount": account, "nodeName": node, "securityContext": {},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {"key": f"node.kubernetes.io/{name}", "operator": "Exists",
             "effect": "NoExecute", "tolerationSeconds": 300}
            for name in ("not-ready", "unreachable")],
        "priority": 0, "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority"}


def _status(ip, running):
    status = {
        "phase": "Running" if running else "Pending",
        "conditions": [{"type": name, "status": "True" if running else "False",
                        "lastProbeTime": None, "lastTransitionTime": _TIME}
                       for name in ("PodReadyToStartContainers", "Initialized",
                                    "Ready", "ContainersReady",
                                    "PodScheduled")],
        "hostIP": "192.0.2.17", "hostIPs": [{"ip": "192.0.2.17"}],
        "startTime": _TIME, "qosClass": "Burstable"}
    if running:
        image = "registry.example.org/shop/web@sha256:4bcff63911fcb4448bd4fda" \
            "cec207030997caf25e9bea4045fa6c8c44de311d1"
        status |= {
            "podIP": ip, "podIPs": [{"ip": ip}], "containerStatuses": [{
                "name": "app", "state": {"running": {"startedAt": _TIME}},
                "lastState": {}, "ready": True, "restartCount": 0,
                "image": image, "imageID": image, "started": True,
                "containerID": "containerd://8f1c2b7e0d6a4f3981b5c7d2e9a06f4b1"
                               "3d5e7f90a2b4c6d8e0f1a3b5c7d9e1f"}]}
    return status
