# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes for tests, from programs that test/cluster/build makes: its
API server with etcd alone, or a cluster of two nodes."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../netns"))

# pylint: disable=wrong-import-position
from .api import Api, Refused
from .control_plane import ControlPlane, own_network, programs
from .kube_cluster import KubeCluster
from .kube_node import PODS, SERVICES
from .tokens import claims_of, signed

__all__ = ["Api", "ControlPlane", "KubeCluster", "PODS", "Refused", "SERVICES",
           "claims_of", "own_network", "programs", "signed"]
