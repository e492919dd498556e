# SPDX-License-Identifier: Apache-2.0
"""Plots of a run, each as PNG and SVG."""
import re

import matplotlib

matplotlib.use("Agg")
# pylint: disable=wrong-import-position
from matplotlib import pyplot

COLOURS = {"direct": "#9e9e9e", "envoy": "#d9822b", "envoy-http": "#b35900",
           "haproxy": "#8e63b5", "nodeward": "#1f77b4",
           "nodeward-same-node": "#6baed6"}
_PERCENTILES = ("p50", "p90", "p99", "p99.9")


def draw_all(folder, scenarios, results):
    """Writes the plots that the figures allow; returns [(file, title)]."""
    rows = results.rows(scenarios)
    drawn = []
    for name, title, draw in (
            ("overview", "Against sidecars", _main_bars),
            ("latency", "Latency percentiles", _latencies),
            ("pods", "Memory over number of pods", _pods),
            *[(scenario.name, scenario.title, _bars_of(scenario))
              for scenario in scenarios]):
        figure = draw(rows, scenarios)
        if figure is None:
            continue
        figure.suptitle(title, fontsize=12)
        figure.tight_layout()
        for kind in ("png", "svg"):
            figure.savefig(folder / f"{name}.{kind}", dpi=110)
        pyplot.close(figure)
        drawn.append((f"{name}.png", title))
    return drawn


# The figures of the overview: scenario, metric, short title.
_OVERVIEW = (("bulk-1", "up", "bulk, Gb/s"),
             ("pingpong-1", "p50", "64 B ping-pong p50, µs"),
             ("pingpong-256", "rate", "ping-pong × 256, 1/s"),
             ("connections", "rate", "new connections, 1/s"),
             ("http", "rate", "HTTP requests, 1/s"),
             ("idle-connections", "memory each", "KB per idle connection"))


def _main_bars(rows, scenarios):
    del scenarios
    return _grid([(title, [row for row in rows
                           if (row["scenario"], row["metric"]) ==
                           (scenario, metric)])
                  for scenario, metric, title in _OVERVIEW])


def _bars_of(scenario):
    """A plot with one panel for every figure of the scenario."""
    def draw(rows, scenarios):
        del scenarios
        return _grid([
            (f"{metric.name}, {metric.unit}",
             [row for row in rows if row["scenario"] == scenario.name
              and row["metric"] == metric.name])
            for metric in scenario.metrics if metric.plotted])
    return draw


def _grid(panels):
    panels = [(title, rows) for title, rows in panels if rows]
    if not panels:
        return None
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure, axes = pyplot.subplots(lines, columns, squeeze=False,
                                   figsize=(4.2 * columns, 3.1 * lines + 0.3))
    flat = [axis for line in axes for axis in line]
    for axis, (title, rows) in zip(flat, panels):
        _bars(axis, title, rows)
    for axis in flat[len(panels):]:
        axis.axis("off")
    return figure


def _bars(axis, title, rows):
    rows = sorted(rows, key=lambda row: list(COLOURS).index(row["system"]))
    medians = [row["median"] for row in rows]
    spread = [[max(0, row["median"] - row["min"]) for row in rows],
              [max(0, row["max"] - row["median"]) for row in rows]]
    places = range(len(rows))
    axis.bar(places, medians, yerr=spread, capsize=4,
             color=[COLOURS[row["system"]] for row in rows])
    for place, median in zip(places, medians):
        axis.annotate(f"{median:.3g}" if median < 1000 else f"{median:,.0f}",
                      (place, median), textcoords="offset points",
                      xytext=(0, 3), ha="center", fontsize=7)
    axis.set_xticks(list(places),
                    [row["system"].replace("-", "\n", 1) for row in rows],
                    fontsize=7)
    axis.set_title(title, fontsize=9)
    axis.margins(y=0.15)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(axis="y", labelsize=7)


def _latencies(rows, scenarios):
    wanted = [scenario for scenario in scenarios
              if {"p50", "p99"} <= {metric.name
                                    for metric in scenario.metrics}
              and scenario.name in ("pingpong-1", "pingpong-256", "http",
                                    "http-aware", "connections")
              and any(row["scenario"] == scenario.name for row in rows)]
    if not wanted:
        return None
    figure, axes = pyplot.subplots(1, len(wanted), squeeze=False,
                                   figsize=(3.6 * len(wanted) + 0.4, 3.6))
    for axis, scenario in zip(axes[0], wanted):
        _percentile_lines(axis, scenario, rows)
    axes[0][0].legend(fontsize=7)
    return figure


def _percentile_lines(axis, scenario, rows):
    for system, colour in COLOURS.items():
        found = {row["metric"]: row for row in rows
                 if row["scenario"] == scenario.name
                 and row["system"] == system}
        names = [name for name in _PERCENTILES if name in found]
        if not names:
            continue
        places = [_PERCENTILES.index(name) for name in names]
        axis.plot(places, [found[name]["median"] for name in names],
                  marker="o", markersize=3, label=system, color=colour)
        axis.fill_between(places, [found[name]["min"] for name in names],
                          [found[name]["max"] for name in names],
                          color=colour, alpha=0.15)
    axis.set_xticks(range(len(_PERCENTILES)), _PERCENTILES, fontsize=7)
    axis.set_yscale("log")
    axis.set_title(f"{scenario.name}, µs", fontsize=9)
    axis.grid(True, which="both", alpha=0.25)
    axis.tick_params(axis="y", labelsize=7)


def _pods(rows, scenarios):
    del scenarios
    figure = None
    for system, colour in COLOURS.items():
        points = sorted(
            (int(found.group(1)), row["median"]) for row in rows
            for found in [re.fullmatch(r"pods-(\d+)", row["scenario"])]
            if found and row["system"] == system
            and row["metric"] == "memory")
        if not points:
            continue
        if figure is None:
            figure, axis = pyplot.subplots(figsize=(6, 4))
        counts, memory = zip(*points)
        label = {"envoy": "Envoys, one a pod",
                 "nodeward": "nodeward, one agent"}.get(system, system)
        axis.plot(counts, memory, marker="o", label=label, color=colour)
    if figure is None:
        return None
    axis.set_xlabel("pods on the node")
    axis.set_ylabel("PSS of all proxies, MB")
    axis.set_yscale("log")
    axis.grid(True, which="both", alpha=0.25)
    axis.legend()
    return figure
