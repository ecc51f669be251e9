"""What is to be evaluated: options of the command line, laid over a recipe's."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from searcher.evaluation.task import TaskRules
from shared.errors import ConfigurationError
from shared.hash_code import validate_bits

FLOAT = "float"
FLOAT_PCA = "float-pca"
FLOAT_ELASTICSEARCH = "float-elasticsearch"
LEARNED = "learned"
TUNED = "tuned"
BINARIZERS = ("itq", "pca-rotation", "hyperplanes", "hyperplanes-centred", "median")
DEFAULT_METHODS = ("float", "itq:256", "hyperplanes:64")
_NOT_THE_SAME_ANSWERS = ("data", "out")


@dataclass(frozen=True, slots=True)
class Method:
    """A way to compare pictures: `kind`, and the bits of its code or the dimensions that a PCA leaves (0: all)."""

    kind: str
    size: int = 0

    @classmethod
    def parse(cls, text: str) -> "Method":
        """Read `float`, `float-elasticsearch`, `float-pca:64`, `itq:256`, …; ConfigurationError otherwise."""
        kind, _, size = text.partition(":")
        try:
            if kind in (FLOAT, FLOAT_ELASTICSEARCH) and not size:
                return cls(kind)
            if kind == FLOAT_PCA and int(size) > 0:
                return cls(kind, int(size))
            if kind in (*BINARIZERS, LEARNED, TUNED):
                return cls(kind, validate_bits(int(size)))
        except ValueError as error:
            raise ConfigurationError(f"{text}: {error}") from error
        known = f"{FLOAT}, {FLOAT_PCA}:DIMENSIONS, {FLOAT_ELASTICSEARCH}, {LEARNED}:BITS, {TUNED}:BITS, "
        known += ", ".join(f"{name}:BITS" for name in BINARIZERS)
        raise ConfigurationError(f"{text}: a method is one of {known}")

    @property
    def name(self) -> str:
        """As it is written on the command line."""
        return f"{self.kind}:{self.size}" if self.size else self.kind

    @property
    def is_trained(self) -> bool:
        """Whether it needs labels."""
        return self.kind in (LEARNED, TUNED)

    @property
    def is_code(self) -> bool:
        """Whether it needs an index of hash codes."""
        return self.kind not in (FLOAT, FLOAT_PCA, FLOAT_ELASTICSEARCH)


@dataclass(frozen=True, slots=True)
class Variant:
    """Methods with the same settings of indexer and searcher.

    `train` is handed to `indexer train` as it is where a code is learned, `tune` where the network is fine-tuned.
    """

    name: str
    methods: Sequence[Method]
    settings: Mapping[str, str]
    train: Sequence[str] = ()
    tune: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All that decides the answers, and where they go (`out`). `knn`: neighbours that vote for a class, 0: none."""

    title: str
    dataset: str
    data: Path
    out: Path
    rules: TaskRules
    variants: Sequence[Variant]
    k: int = 100
    knn: int = 0

    def fingerprint(self) -> str:
        """Equal for plans with the same answers; as JSON, so that a person can see what differs."""
        kept = {name: value for name, value in asdict(self).items() if name not in _NOT_THE_SAME_ANSWERS}
        return json.dumps(kept, indent=1, sort_keys=True, default=str)


@dataclass(frozen=True, slots=True)
class Options:
    """What a recipe's table [evaluate] or the command line says; None where it says nothing."""

    title: str | None = None
    dataset: str | None = None
    queries: str | None = None
    gallery: str | None = None
    only: str | None = None
    relevance: str | None = None
    methods: str | None = None
    train: str | None = None
    tune: str | None = None
    variants: str | None = None
    limit: int | None = None
    k: int | None = None
    knn: int | None = None
    seed: int | None = None

    def over(self, other: "Options") -> "Options":
        """These, and the other's where these say nothing."""
        return replace(other, **{name: value for name, value in _given(self).items() if value is not None})


def read_recipe(file: Path) -> tuple[Options, list[Variant]]:
    """A recipe: the table [evaluate] as options, [settings] for all, and [[variant]] with name, methods and settings.

    ConfigurationError where it can't be read, or says something that is not known.
    """
    try:
        recipe = tomllib.loads(file.read_text())
        options = Options(**{name: _text_or_number(value) for name, value in recipe.pop("evaluate", {}).items()})
        shared = recipe.pop("settings", {})
        variants = [_variant(one, shared, options) for one in recipe.pop("variant", [{"name": ""}])]
    except (OSError, tomllib.TOMLDecodeError, TypeError, KeyError) as error:
        raise ConfigurationError(f"{file}: {error}") from error
    if recipe:
        raise ConfigurationError(f"{file}: {', '.join(recipe)}: there is no such table in a recipe")
    return options, variants


def make_plan(
    options: Options, variants: Sequence[Variant], settings: Mapping[str, str], data: Path, out: Path | None
) -> Plan:
    """The plan of these options; `settings` (flags) and options that the command line gives go before a variant's."""
    if options.dataset is None:
        raise ConfigurationError("say what to evaluate on: --dataset, or a --recipe that does")
    defaults = _DEFAULTS.get(options.dataset, Options(queries="all", relevance="category"))
    chosen = options.over(defaults)
    name = options.title or Path(options.dataset).name.removesuffix(".csv")
    rules = TaskRules(
        queries=str(chosen.queries),
        relevance=str(chosen.relevance).split(","),
        gallery=chosen.gallery,
        only=chosen.only,
        limit=chosen.limit,
        seed=chosen.seed or 0,
    )
    made = [replace(one, settings={**one.settings, **settings}) for one in _chosen(variants, chosen.variants)]
    if len({one.name for one in made}) < len(made) or any(not one.methods for one in made):
        raise ConfigurationError("variants have names of their own, and methods")
    target = out or Path("evaluation", "".join(sign if sign.isalnum() else "-" for sign in name.lower()))
    return Plan(name, options.dataset, data, target, rules, made, chosen.k or 100, chosen.knn or 0)


def parse_methods(text: str | None) -> tuple[Method, ...]:
    """Methods with commas between them; the default ones where there is no text."""
    names = DEFAULT_METHODS if text is None else [name.strip() for name in text.split(",") if name.strip()]
    return tuple(dict.fromkeys(Method.parse(name) for name in names))


_DEFAULTS = {
    "clothing": Options(queries="all", relevance="category"),
    "magento": Options(queries="all", relevance="style"),
    "cifar10": Options(queries="test", relevance="category"),
}


def _chosen(variants: Sequence[Variant], names: str | None) -> Sequence[Variant]:
    if names is None:
        return variants
    wanted = names.split(",")
    if unknown := set(wanted) - {one.name for one in variants}:
        raise ConfigurationError(f"{', '.join(sorted(unknown))}: no variant of the recipe has this name")
    return [one for one in variants if one.name in wanted]


def _variant(table: Mapping[str, Any], shared: Mapping[str, Any], options: Options) -> Variant:
    known = {"name", "methods", "settings", "train", "tune"}
    if unknown := sorted(set(table) - known):
        raise ConfigurationError(f"{', '.join(unknown)}: a variant has {', '.join(sorted(known))}")
    settings = {name: str(value) for name, value in {**shared, **table.get("settings", {})}.items()}
    methods = parse_methods(table.get("methods", options.methods))
    train, tune = (str(table.get(name) or getattr(options, name) or "").split() for name in ("train", "tune"))
    return Variant(str(table["name"]), methods, settings, tuple(train), tuple(tune))


def _text_or_number(value: object) -> Any:
    if isinstance(value, str | int):
        return value
    raise TypeError(f"{value!r} is neither text nor a number")


def _given(options: Options) -> dict[str, Any]:
    return {field.name: getattr(options, field.name) for field in fields(options)}
