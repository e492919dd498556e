# SPDX-License-Identifier: Apache-2.0
"""Round after round, system after system."""
from lib.process import Failure
from lib.scenarios.base import Skip


def run_all(bench, scenarios, systems, results):
    """Measures the scenarios for the systems (names) into `results`."""
    for index, scenario in enumerate(scenarios):
        bench.progress.say(f"{scenario.title} ({index + 1} of "
                           f"{len(scenarios)})")
        _run_one(bench, scenario, [name for name in systems
                                   if name in scenario.systems], results)
        following = scenarios[index + 1:index + 2]
        if not following or type(following[0]) is not type(scenario):
            try:
                scenario.finish(bench)
            except Failure as failure:
                results.failures.append(f"end of {scenario.name}: {failure}")


def _run_one(bench, scenario, systems, results):
    rounds = scenario.rounds(bench.plan)
    left = list(systems)
    for number in range(rounds):
        found = {}
        # Every round begins with another system: none is always the first
        # after a pause.
        shift = number % len(left) if left else 0
        for name in left[shift:] + left[:shift]:
            try:
                found[name] = _measure(bench, scenario, name)
            except Skip as reason:
                results.skip(scenario, name, reason)
                bench.progress.say(f"  {name}: {reason}")
                left.remove(name)
            except (Failure, OSError, ValueError, KeyError,
                    ArithmeticError) as failure:
                results.fail(scenario, name, failure)
                bench.progress.say(f"  {name}: FAILED: {failure}")
                left.remove(name)
            else:
                bench.progress.say(f"  {number + 1}/{rounds} {name}: "
                                   f"{_brief(scenario, found[name])}")
        results.add_round(scenario, found)


def _measure(bench, scenario, name):
    system = bench.system(name)
    system.check()
    if scenario.alone:
        bench.rest()
    return scenario.measure(bench, system)


def _brief(scenario, values):
    return ", ".join(
        f"{metric.name} {values[metric.name]:.4g} {metric.unit}".rstrip()
        for metric in scenario.metrics if metric.name in values)
