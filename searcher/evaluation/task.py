"""Who is indexed, who is asked, and what is relevant to whom."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searcher.evaluation.collection import Picture, read_csv
from shared.errors import ConfigurationError

_NO_LABEL = -1
# Of a class at least so many pictures are taken together, as far as it has them, so that a slice still has pairs.
_TOGETHER = 8
_HELD_OUT = "held-out:"


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Queries against a gallery; the arrays have one value a picture.

    `own` is the place in the gallery of a query that is indexed itself, and which is left out of its own hits, else -1.
    `labels` of both sides are equal where the pictures are relevant to each other, and -1 where there is no label;
    `label_names` names them.
    """

    gallery: Sequence[Picture]
    queries: Sequence[Picture]
    own: NDArray[np.int64]
    gallery_labels: NDArray[np.int64]
    query_labels: NDArray[np.int64]
    label_names: Sequence[str]

    @property
    def leaves_one_out(self) -> bool:
        """Whether queries are indexed themselves."""
        return bool((self.own >= 0).any())

    def relevant(self, query: int) -> NDArray[np.int64]:
        """Places in the gallery of what is relevant to a query."""
        places = np.flatnonzero(self.gallery_labels == self.query_labels[query])
        return np.asarray(places[places != self.own[query]], np.int64)

    def relevant_counts(self) -> NDArray[np.int64]:
        """How many pictures are relevant to each query."""
        of_label = np.bincount(self.gallery_labels[self.gallery_labels >= 0], minlength=len(self.label_names))
        return np.asarray(of_label[self.query_labels] - (self.own >= 0), np.int64)

    def without(self, refused: Collection[str]) -> "Task":
        """The same without the pictures of these image ids, and without the queries that nothing is relevant to."""
        gallery = [picture for picture in self.gallery if picture.image_id not in refused]
        queries = [picture for picture in self.queries if picture.image_id not in refused]
        labels = {picture.image_id: label for picture, label in zip(self.gallery, self.gallery_labels, strict=True)}
        labels |= {picture.image_id: label for picture, label in zip(self.queries, self.query_labels, strict=True)}
        return _joined(gallery, queries, {name: int(label) for name, label in labels.items()}, self.label_names)


@dataclass(frozen=True, slots=True)
class TaskRules:
    """How a collection is divided.

    `queries`: a number of indexed pictures, `all` of them; not indexed: `held-out:N` drawn pictures,
    `column=value[,value]`, a split's name, or a CSV file.
    `gallery`: as `column=value`; by default whatever is no query. `only`: of the queries, those with `column=value`.
    `relevance`: columns that relevant pictures have in common. `limit`: pictures on each side, at most.
    """

    queries: str
    relevance: Sequence[str]
    gallery: str | None = None
    only: str | None = None
    limit: int | None = None
    seed: int = 0


def divide(pictures: Sequence[Picture], rules: TaskRules) -> Task:
    """The task; deterministic. ConfigurationError where a rule fits nothing, or no query has anything relevant."""
    random = np.random.default_rng(rules.seed)
    gallery, queries, count = _sides(pictures, rules, random)
    if rules.gallery is not None:
        gallery = _chosen(gallery, rules.gallery)
    if rules.only is not None:
        queries = _chosen(queries, rules.only)
    names: dict[str, int] = {}
    labels = {
        picture.image_id: names.setdefault(label, len(names)) if (label := label_of(picture, rules.relevance)) else -1
        for picture in (*gallery, *queries)
    }
    if max(labels.values(), default=_NO_LABEL) < 0:
        raise ConfigurationError(f"no picture has the columns {', '.join(rules.relevance)} that say what is relevant")
    gallery = _slice(gallery, labels, rules.limit, random)
    kept = {picture.image_id for picture in gallery}
    if count is not None:
        queries = [picture for picture in queries if picture.image_id in kept]
    task = _joined(gallery, queries, labels, list(names))
    limit = min(count or len(queries), rules.limit or len(queries))
    if limit < len(task.queries):
        places = sorted(random.choice(len(task.queries), limit, replace=False).tolist())
        task = _joined(gallery, [task.queries[place] for place in places], labels, list(names))
    if not task.queries:
        raise ConfigurationError("no query has a relevant picture among the indexed ones")
    return task


def label_of(picture: Picture, columns: Sequence[str]) -> str:
    """What pictures relevant to this one have, too; empty where one of the columns is."""
    values = [picture.attributes.get(column, "") for column in columns]
    return " / ".join(values) if all(values) else ""


def _sides(
    pictures: Sequence[Picture], rules: TaskRules, random: np.random.Generator
) -> tuple[list[Picture], list[Picture], int | None]:
    """Indexed pictures, queries, and where these are the same how many queries are wanted (0: all)."""
    text = rules.queries
    if text == "all" or text.isdecimal():
        return list(pictures), list(pictures), 0 if text == "all" else int(text)
    if text.endswith(".csv"):
        return list(pictures), read_csv(Path(text), Path(text).parent), None
    if text.startswith(_HELD_OUT) and (number := text.removeprefix(_HELD_OUT)).isdecimal():
        drawn = sorted(random.permutation(len(pictures))[: int(number)].tolist())
        queries = [pictures[place] for place in drawn]
    else:
        queries = _chosen(pictures, text if "=" in text else f"split={text}")
    asked = {picture.image_id for picture in queries}
    return [picture for picture in pictures if picture.image_id not in asked], queries, None


def _chosen(pictures: Sequence[Picture], rule: str) -> list[Picture]:
    column, equals, values = rule.partition("=")
    wanted = set(values.split(","))
    chosen = [picture for picture in pictures if picture.attributes.get(column) in wanted]
    if not equals or not chosen:
        raise ConfigurationError(f"{rule}: no picture is so; a rule is column=value[,value]")
    return chosen


def _slice(
    pictures: list[Picture], labels: Mapping[str, int], limit: int | None, random: np.random.Generator
) -> list[Picture]:
    """At most `limit` pictures, some of each class where there are few classes, whole classes where there are many."""
    if limit is None or limit >= len(pictures):
        return pictures
    classes: dict[int, list[Picture]] = defaultdict(list)
    for place in random.permutation(len(pictures)).tolist():
        classes[labels[pictures[place].image_id]].append(pictures[place])
    classes.pop(_NO_LABEL, None)
    each = max(_TOGETHER, -(-limit // max(1, len(classes))))
    taken = [picture for members in classes.values() for picture in members[:each]]
    rest = [picture for members in classes.values() for picture in members[each:]]
    chosen = {picture.image_id for picture in (taken + rest)[:limit]}
    return [picture for picture in pictures if picture.image_id in chosen]


def _joined(
    gallery: Sequence[Picture], queries: Sequence[Picture], labels: Mapping[str, int], names: Sequence[str]
) -> Task:
    """A task of those queries that something is relevant to."""
    places = {picture.image_id: place for place, picture in enumerate(gallery)}
    task = Task(
        gallery,
        queries,
        np.array([places.get(picture.image_id, -1) for picture in queries], np.int64),
        np.array([labels[picture.image_id] for picture in gallery], np.int64),
        np.array([labels[picture.image_id] for picture in queries], np.int64),
        names,
    )
    answerable = (task.query_labels >= 0) & (task.relevant_counts() > 0)
    return Task(
        gallery,
        [picture for picture, kept in zip(queries, answerable.tolist(), strict=True) if kept],
        task.own[answerable],
        task.gallery_labels,
        task.query_labels[answerable],
        names,
    )
