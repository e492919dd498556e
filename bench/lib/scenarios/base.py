# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass

ALL_SYSTEMS = ("direct", "envoy", "haproxy", "nodeward", "nodeward-same-node")
PROXIED = ALL_SYSTEMS[1:]
LATENCIES = ("p50", "p90", "p99", "p99.9")


@dataclass(frozen=True)
class Metric:
    name: str
    unit: str
    higher_is_better: bool = False
    plotted: bool = True


class Scenario:
    """measure() is called once a round for every system, in turns, and
    returns {metric name: value}; Failure leaves a gap that is reported."""

    name = ""        # in results.json and for --only
    title = ""       # for people
    systems = ALL_SYSTEMS
    metrics = ()
    sidecar = "envoy"  # what ratio_to_sidecar compares with
    quick = True       # part of --quick
    # Are the proxies of all standing pairs stopped for it? Memory that
    # programs share would count for less in those that it starts itself.
    alone = False

    def rounds(self, plan):
        return plan.rounds

    def measure(self, bench, system):
        raise NotImplementedError

    def finish(self, bench):
        """After the last scenario of its class: undo what measure() set up."""

    def derived(self, values):
        """More metrics out of one round's values of all systems:
        {system: {metric: value}} → the same shape."""
        del values
        return {}



class Skip(Exception):
    """This system cannot take part here; the reason goes into the report."""


def added(values, metric, name):
    """What each system adds to direct, in one round."""
    if metric not in values.get("direct", {}):
        return {}
    base = values["direct"][metric]
    return {system: {name: found[metric] - base}
            for system, found in values.items()
            if system != "direct" and metric in found}
