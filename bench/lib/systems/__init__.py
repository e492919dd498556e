# SPDX-License-Identifier: Apache-2.0
"""What is compared, all on the same topology with the same applications."""
from lib.systems.direct import Direct
from lib.systems.envoy import Envoy, EnvoyHttp
from lib.systems.haproxy import HAProxy
from lib.systems.nodeward import Nodeward, NodewardSameNode

ALL = {system.name: system for system in (
    Direct, Envoy, EnvoyHttp, HAProxy, Nodeward, NodewardSameNode)}
PEERS = ("direct", "envoy", "envoy-http", "haproxy")
