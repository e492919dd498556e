# SPDX-License-Identifier: Apache-2.0
"""What is measured, in the order of the table."""
from lib.scenarios.bulk import Bulk
from lib.scenarios.connections import Churn, IdleConnections
from lib.scenarios.enrolment import Enrolment
from lib.scenarios.http import Http, HttpAware
from lib.scenarios.kubernetes import Kubernetes
from lib.scenarios.outside import Outside
from lib.scenarios.pingpong import PingPong
from lib.scenarios.pods import PodsOnNode
from lib.scenarios.workloads import Workloads


def all_scenarios():
    return [Bulk(1), Bulk(8), PingPong(1), PingPong(256), Churn(), Http(),
            HttpAware(), IdleConnections(),
            *[PodsOnNode(count) for count in (1, 10, 50, 250)],
            Enrolment(), Outside(),
            *[Workloads(count) for count in (1000, 10000, 100000)],
            Kubernetes(10000)]
