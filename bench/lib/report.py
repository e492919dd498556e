# SPDX-License-Identifier: Apache-2.0
"""report.md: what was measured, as tables for people."""
import json

from lib.goals import SUBJECT, verdicts
from lib.install import REPOSITORY
from lib.systems import ALL

# Why a target is missed: "scenario/metric" → the reason a profile gave.
REASONS = REPOSITORY / "bench" / "reasons.json"
_MARK = {"moonshot": "★ moonshot", "reached": "✓ reached", "missed": "✗ missed"}


def report(machine, scenarios, results, plots):
    rows = results.rows(scenarios)
    parts = [_head(machine), "## Goals\n", goals_table(rows, scenarios),
             "## Figures\n", _legend(), figures_table(rows, scenarios),
             _gaps(results, scenarios), _plots(plots)]
    return "\n".join(part for part in parts if part)


def summary(machine, scenarios, results):
    """summary.md: the goals alone, for the README."""
    return (f"Measured on {machine['date'].partition(' ')[0]}: "
            f"{machine['machine']}; {machine['system']}; "
            f"`{machine['command']}`.\n\n" +
            goals_table(results.rows(scenarios), scenarios) +
            "\n![Against sidecars](bench/results/latest/overview.png)\n")


def _head(machine):
    versions = ", ".join(f"{name} {version}" for name, version in
                         machine["versions"].items())
    quick = ("\nA quick run: short loads, few rounds; read it as a check that "
             "everything works." if machine["quick"] else "")
    return (f"# nodeward against sidecars, {machine['date']}\n\n"
            f"{machine['machine']}; {machine['system']}. {versions}.\n"
            f"Command: `{machine['command']}`.{quick}\n")


def _legend():
    return ("Median (min–max) over the rounds, which alternate between the "
            "systems; below it the ratio to *direct* / to the sidecar "
            "(*envoy*; *envoy-http* where HTTP is read).\n")


def goals_table(rows, scenarios):
    """Every goal with what nodeward reached."""
    judged = verdicts(rows)
    if not judged:
        return f"No goal of {SUBJECT} can be judged from this run.\n"
    by_name = {scenario.name: scenario for scenario in scenarios}
    reasons = json.loads(REASONS.read_text()) if REASONS.exists() else {}
    lines = ["| scenario | figure | measured | goal | moonshot | verdict |",
             "|---|---|---|---|---|---|"]
    for verdict in judged:
        goal, unit = verdict.goal, verdict.row["unit"]
        scenario = by_name[goal.scenario]
        sidecar = scenario.sidecar
        measured = _value(verdict.row["median"], unit)
        if goal.basis != "figure":
            measured += f" = {verdict.value:.2f} × {goal.base(sidecar)}"
        reason = reasons.get(f"{goal.scenario}/{goal.metric}")
        word = _MARK[verdict.word]
        if verdict.word == "missed" and reason:
            word += f": {reason}"
        lines.append(
            f"| {scenario.title} | {goal.metric} | {measured} | "
            f"{goal.bound_text(goal.goal, unit, sidecar)} | "
            f"{goal.bound_text(goal.moonshot, unit, sidecar)} | {word} |")
    return "\n".join(lines) + "\n"


def figures_table(rows, scenarios):
    """One line a figure, one column a system."""
    measured = {row["system"] for row in rows}
    systems = [name for name in ALL if name in measured]
    by_key = {(row["scenario"], row["metric"], row["system"]): row
              for row in rows}
    lines = ["| scenario | figure | " + " | ".join(systems) + " |",
             "|---|---|" + "---|" * len(systems)]
    for scenario in scenarios:
        title = scenario.title  # on the scenario's first line only
        for metric in scenario.metrics:
            cells = [_cell(by_key.get((scenario.name, metric.name, system)),
                           scenario.sidecar) for system in systems]
            if not any(cells):
                continue
            unit = f", {metric.unit}" if metric.unit else ""
            lines.append(f"| {title} | {metric.name}{unit} | " +
                         " | ".join(cells) + " |")
            title = ""
    return "\n".join(lines) + "\n"


def _cell(row, sidecar):
    if not row:
        return ""
    text = f"**{_number(row['median'])}**"
    if row["min"] != row["max"]:
        text += f" ({_number(row['min'])}–{_number(row['max'])})"
    ratios = []
    if row["system"] != "direct":
        ratios.append(_ratio(row["ratio_to_direct"]))
        if row["system"] != sidecar:
            ratios.append(_ratio(row["ratio_to_sidecar"]))
    if any(ratio != "–" for ratio in ratios):
        text += "<br>" + " / ".join(ratios)
    return text


def _ratio(value):
    return "–" if value is None else f"×{value:.2f}"


def _number(value):
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def _value(value, unit):
    return f"{_number(value)} {unit}".rstrip()


def _gaps(results, scenarios):
    titles = {scenario.name: scenario.title for scenario in scenarios}
    lines = [f"- {titles.get(scenario, scenario)}, {system}: {reason}"
             for (scenario, system), reason in results.gaps.items()]
    return "## Not measured\n\n" + "\n".join(lines) + "\n" if lines else ""


def _plots(plots):
    lines = [f"![{title}]({file})" for file, title in plots]
    return "## Plots\n\n" + "\n\n".join(lines) + "\n" if lines else ""
