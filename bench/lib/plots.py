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
            ("pods", "Over the number of pods on a node",
             _over_number("pods", "pods", ("memory", "cpu at rest"))),
            ("workloads", "Over the number of workloads known",
             _over_number("workloads", "workloads",
                          ("memory", "memory each", "effect p50"))),
            *[(scenario.name, scenario.title, _bars_of(scenario))
              for scenario in scenarios
              if not re.search("^(pods|workloads)-", scenario.name)]):
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


# The figures of the overview: scenario, metric, short title. ↑: more is
# better, ↓: less is.
_OVERVIEW = (("bulk-1", "up", "bulk, Gb/s ↑"),
             ("pingpong-1", "p50", "64 B ping-pong p50, µs ↓"),
             ("pingpong-256", "rate", "ping-pong × 256, 1/s ↑"),
             ("connections", "rate", "new connections, 1/s ↑"),
             ("http", "rate", "HTTP requests, 1/s ↑"),
             ("idle-connections", "memory each", "KB per idle connection ↓"))


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
            (f"{metric.name}, {metric.unit} "
             f"{'↑' if metric.higher_is_better else '↓'}",
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
    for place, row in zip(places, rows):
        median = row["median"]
        axis.annotate(f"{median:.3g}" if median < 1000 else f"{median:,.0f}",
                      (place, row["max"]), textcoords="offset points",
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


_LABELS = {"envoy": "Envoys, one a pod", "nodeward": "nodeward, one agent"}


def _over_number(prefix, x_label, metrics):
    """Lines over the number in the scenarios' names, one panel a metric."""
    def draw(rows, scenarios):
        del scenarios
        numbered = [(int(found.group(1)), row) for row in rows
                    for found in [re.fullmatch(rf"{prefix}-(\d+)",
                                               row["scenario"])] if found]
        panels = [(metric, [(number, row) for number, row in numbered
                            if row["metric"] == metric])
                  for metric in metrics]
        panels = [(metric, points) for metric, points in panels if points]
        if not panels:
            return None
        figure, axes = pyplot.subplots(1, len(panels), squeeze=False,
                                       figsize=(4.6 * len(panels), 3.6))
        for axis, (metric, points) in zip(axes[0], panels):
            _lines(axis, f"{metric}, {points[0][1]['unit']}", points)
            axis.set_xlabel(x_label, fontsize=8)
        axes[0][0].legend(fontsize=7)
        return figure
    return draw


def _lines(axis, title, points):
    for system, colour in COLOURS.items():
        found = sorted((number, row["median"]) for number, row in points
                       if row["system"] == system)
        if found:
            axis.plot(*zip(*found), marker="o", markersize=4, color=colour,
                      label=_LABELS.get(system, system))
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_title(title, fontsize=9)
    axis.grid(True, which="both", alpha=0.25)
    axis.tick_params(labelsize=7)
