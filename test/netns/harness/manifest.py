# SPDX-License-Identifier: Apache-2.0
"""Kubernetes objects as text."""
import json
import re

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*$")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def _scalar(value):
    if isinstance(value, str) and _PLAIN.match(value) \
            and value.lower() not in _WORDS:
        return value
    return json.dumps(value)  # JSON's scalars are YAML's


def to_yaml(value, indent=""):
    """The few shapes that manifests need: maps, lists, scalars."""
    lines = []
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)) and item:
                lines.append(f"{indent}{_scalar(key)}:")
                lines.append(to_yaml(item, indent + "  "))
            else:
                lines.append(f"{indent}{_scalar(key)}: {_scalar(item)}")
    else:
        for item in value:
            if isinstance(item, dict) and item:
                block = to_yaml(item, indent + "  ")
                lines.append(indent + "- " + block[len(indent) + 2:])
            else:
                lines.append(f"{indent}- {_scalar(item)}")
    return "\n".join(lines)


def policy(namespace, mode, name="default", selector=None, ports=None):
    """A PeerAuthentication; `ports` maps workload ports to modes."""
    spec = {"mtls": {"mode": mode}}
    if selector:
        spec["selector"] = {"matchLabels": selector}
    if ports:
        spec["portLevelMtls"] = {
            str(port): {"mode": which} for port, which in ports.items()}
    return {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
            "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def namespace(name, labels):
    return {"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": labels}}


def service(name, ns, ports, selector, cluster_ips):
    """`ports`: {"http": (8000, 80)}, name -> (port, target port)."""
    spec = {"selector": selector,
            "clusterIP": cluster_ips[0] if cluster_ips else "None",
            "ports": [{"name": key, "port": port, "targetPort": target}
                      for key, (port, target) in ports.items()]}
    if cluster_ips:
        spec["clusterIPs"] = cluster_ips
    return {"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": ns}, "spec": spec}


def pod(name, ns, uid, labels, node, account, ips, netns, ports, probes):
    """`ports`: {"http": 80}; `probes`: {"liveness": {"httpGet": …}}."""
    container = {"name": name, "image": f"example.org/{name}:1"}
    if ports:
        container["ports"] = [{"name": key, "containerPort": port}
                              for key, port in ports.items()]
    for kind, probe in probes.items():
        container[f"{kind}Probe"] = probe
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": ns, "uid": uid,
                     "labels": labels,
                     "annotations": {
                         "nodeward.io/netns": f"/run/netns/{netns}"}},
        "spec": {"nodeName": node, "serviceAccountName": account,
                 "containers": [container]},
        "status": {"phase": "Running", "podIP": ips[0],
                   "podIPs": [{"ip": ip} for ip in ips],
                   "conditions": [{"type": "Ready", "status": "True"}]}}


def broken(name):
    """A PeerAuthentication that does not parse as one."""
    return {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
            "metadata": {"name": name, "namespace": "mesh"},
            "spec": {"mtls": {"mode": "SOMETIMES"}}}
