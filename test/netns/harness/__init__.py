# SPDX-License-Identifier: Apache-2.0
"""Nodes, pods and agents on one machine, out of network namespaces.

A `Cluster` is what a scenario gets: nodes (a namespace with a bridge and a
routed wire to the other), pods (a namespace with a veth to its node's bridge),
a directory of manifests, and an agent a node. It brings what a cluster brings
(names, ClusterIPs for pods outside the mesh, a kubelet that probes) and takes
everything away again. All names carry the process id, so that scenarios run
beside one another. Python's standard library only.
"""
import os
import sys

from .agent import Agent
from .capture import Capture
from .cluster import Cluster
from .entering import entered
from .manifest import broken, policy
from .node import Node
from .pod import Pod
from .process import Process, await_that, run
from .scenario import Scenario, main
from .web import answer, ask

# For the independent peers in test/peers.
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../.."))

__all__ = ["Agent", "Capture", "Cluster", "Node", "Pod", "Process", "Scenario",
           "answer", "ask", "await_that", "broken", "entered", "main",
           "policy", "run"]
