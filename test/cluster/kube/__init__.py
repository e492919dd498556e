# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes for tests: its API server with etcd, from programs that
test/cluster/build makes. Nodes can be added to it."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../netns"))

# pylint: disable=wrong-import-position
from .api import Api, Refused
from .control_plane import ControlPlane, own_network, programs
from .tokens import claims_of, signed

__all__ = ["Api", "ControlPlane", "Refused", "claims_of", "own_network",
           "programs", "signed"]
