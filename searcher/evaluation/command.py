"""`searcher evaluate`, from its options to the report."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from searcher.evaluation.evaluator import evaluate, open_folder
from searcher.evaluation.plan import Options, Plan, Variant, make_plan, parse_methods, read_recipe
from searcher.evaluation.plots import draw_plots
from searcher.evaluation.report import machine, write_report
from searcher.evaluation.results import Report
from searcher.evaluation.workshop import Workshop, commands
from shared.settings import Settings


def plan_of(options: Options, recipe: Path | None, settings: Mapping[str, str], data: Path, out: Path | None) -> Plan:
    """The plan of a command line, laid over its recipe; ConfigurationError where something in it makes no sense."""
    if recipe is None:
        train, tune = (tuple((text or "").split()) for text in (options.train, options.tune))
        variant = Variant("", parse_methods(options.methods), {}, train, tune)
        return make_plan(options, [variant], settings, data, out)
    own, variants = read_recipe(recipe)
    if options.methods is not None:
        variants = [replace(one, methods=parse_methods(options.methods)) for one in variants]
    if options.train is not None:
        variants = [replace(one, train=tuple(options.train.split())) for one in variants]
    if options.tune is not None:
        variants = [replace(one, tune=tuple(options.tune.split())) for one in variants]
    title = Options(title=recipe.stem)
    return make_plan(options.over(own.over(title)), variants, settings, data, out)


def run_plan(
    plan: Plan, load: Callable[[Mapping[str, Any]], Settings], now: Callable[[], datetime], told: str
) -> Report:
    """Do what is not done yet of the plan, and write its report into the out folder. Errors as of `evaluate`.

    `told` is the command line, for the report.
    """
    open_folder(plan)
    shop = Workshop(plan, load, now)
    shop.work.mkdir(exist_ok=True)
    results, sizes = evaluate(shop)
    report = Report(plan, sizes, results, [told, *commands(shop)], machine())
    write_report(report, draw_plots(results, plan.k, plan.out / "plots"), plan.out)
    return report
