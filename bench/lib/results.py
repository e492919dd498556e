# SPDX-License-Identifier: Apache-2.0
"""The figures of a run, and the rows of results.json."""
import statistics
from collections import defaultdict


class Results:
    def __init__(self):
        # scenario → system → metric → one value a round
        self.values = defaultdict(lambda: defaultdict(
            lambda: defaultdict(list)))
        self.gaps = {}  # (scenario, system) → why there is no figure
        self.failures = []

    def add_round(self, scenario, found):
        """`found`: {system: {metric: value}} of one round."""
        for part in (found, scenario.derived(found)):
            for system, metrics in part.items():
                for metric, value in metrics.items():
                    self.values[scenario.name][system][metric].append(value)

    def skip(self, scenario, system, reason):
        self.gaps[(scenario.name, system)] = str(reason)

    def fail(self, scenario, system, reason):
        self.skip(scenario, system, f"failed: {reason}")
        self.failures.append(f"{scenario.name}, {system}: {reason}")

    def median(self, scenario, system, metric):
        values = self.values.get(scenario, {}).get(system, {}).get(metric)
        return statistics.median(values) if values else None

    def rows(self, scenarios):
        """results.json: one row a figure."""
        rows = []
        for scenario in scenarios:
            for system, metrics in self.values[scenario.name].items():
                for metric in scenario.metrics:
                    values = metrics.get(metric.name)
                    if not values:
                        continue
                    median = statistics.median(values)
                    rows.append({
                        "scenario": scenario.name,
                        "system": system,
                        "metric": metric.name,
                        "unit": metric.unit,
                        "median": _rounded(median),
                        "min": _rounded(min(values)),
                        "max": _rounded(max(values)),
                        "rounds": len(values),
                        "ratio_to_direct": self._ratio(
                            median, scenario.name, "direct", metric.name),
                        "ratio_to_sidecar": self._ratio(
                            median, scenario.name, scenario.sidecar,
                            metric.name)})
        return rows

    def _ratio(self, value, scenario, system, metric):
        base = self.median(scenario, system, metric)
        if base is None or base == 0:
            return None
        return _rounded(value / base)


def _rounded(value):
    """Four significant figures: more would be noise."""
    return float(f"{value:.4g}")
