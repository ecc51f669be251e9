"""Runs a plan: index, ask, measure, variant by variant. What is finished stays, and the plan goes on from there."""

import hashlib
import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searcher.evaluation import curves, grids, indexing, statistics, trec
from searcher.evaluation.asking import rank_by_code
from searcher.evaluation.collection import CIFAR10, read_collection, unpack
from searcher.evaluation.embedding import embed
from searcher.evaluation.indexing import Indexer, IndexingRate
from searcher.evaluation.measures import map_names, measure
from searcher.evaluation.plan import FLOAT_PCA, LEARNED, Method, Plan, Variant
from searcher.evaluation.ranking import Ranking, rank_by_cosine, reduced_by_pca
from searcher.evaluation.results import MethodResult, VariantSize
from searcher.evaluation.task import Task, divide
from shared.encoding.opening import check_embedder
from shared.errors import ConfigurationError
from shared.settings import Settings
from shared.store.opening import open_store
from shared.terminal import progress

_SEARCH_SECONDS = "300"
_FLOAT_BYTES = 4

LoadSettings = Callable[[Mapping[str, str]], Settings]
Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the evaluation of a plan works with; `load` gives settings with some laid over them."""

    plan: Plan
    load: LoadSettings
    now: Callable[[], datetime]

    @property
    def work(self) -> Path:
        """Where indexes and everything else lie that is needed to go on."""
        return self.plan.out / "work"


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A variant's task without what could not be embedded, and unit rows of its two sides."""

    variant: Variant
    task: Task
    queries: Rows
    gallery: Rows
    exact: Ranking


def open_folder(plan: Plan) -> None:
    """Make the out folder, or see that it is of this plan; ConfigurationError where it is of another one."""
    plan.out.mkdir(parents=True, exist_ok=True)
    file, fingerprint = plan.out / "plan.json", plan.fingerprint()
    if file.exists() and file.read_text() != fingerprint:
        raise ConfigurationError(f"{plan.out} holds an evaluation with other options (plan.json); name another --out")
    file.write_text(fingerprint)


def evaluate(shop: Workshop) -> tuple[list[MethodResult], dict[str, VariantSize]]:
    """Do everything that is not done yet; gives the results, and each variant's sizes.

    Errors as of the indexer's commands, `Searcher.search` and `open_embedder`.
    """
    _refuse_shared_stores(shop.plan)
    for variant in shop.plan.variants:
        check_embedder(shop.load(variant.settings))
    task = _task(shop)
    results: list[MethodResult] = []
    sizes: dict[str, VariantSize] = {}
    for variant in shop.plan.variants:
        prepared = _prepare(shop, variant, task)
        kept = prepared.task
        refused = len(task.gallery) - len(kept.gallery)
        sizes[variant.name] = VariantSize(
            len(kept.gallery), len(kept.queries), float(kept.relevant_counts().mean()), refused
        )
        trec.write_qrels(kept, shop.plan.out / "trec" / _slug(variant.name))
        results += [_result(shop, prepared, method) for method in variant.methods]
    return results, sizes


def commands(shop: Workshop) -> Iterator[str]:
    """The indexer's commands of a plan, for a person to read."""
    for variant in shop.plan.variants:
        for method in filter(lambda one: one.is_code, variant.methods):
            indexer = _indexer(shop, variant, method)
            names = ",".join(shop.plan.rules.relevance)
            first = ["train", f"--labels={names}", *variant.train] if method.kind == LEARNED else ["fit"]
            for arguments in (first, ["run", "--until-caught-up"]):
                yield shlex.join(["indexer", *indexer.command(*arguments)[3:]])


def _refuse_shared_stores(plan: Plan) -> None:
    """A store holds one active encoder."""
    stores = [
        variant.settings["store_url"]
        for variant in plan.variants
        for method in variant.methods
        if method.is_code and "store_url" in variant.settings
    ]
    if len(set(stores)) < len(stores):
        raise ConfigurationError("a store holds the codes of one encoder: with --store-url, name one method with codes")


def _task(shop: Workshop) -> Task:
    plan, unpacked = shop.plan, shop.work / "pictures"
    task = divide(read_collection(plan.dataset, plan.data, unpacked), plan.rules)
    if plan.dataset == CIFAR10:
        pictures = list({one.image_id: one for one in (*task.gallery, *task.queries)}.values())
        with progress("unpacking", len(pictures)) as advance:
            unpack(pictures, plan.data, unpacked, advance)
    return task


def _prepare(shop: Workshop, variant: Variant, task: Task) -> _Prepared:
    """Index the first method before anything is embedded here, so that its rate is that of the whole pipeline."""
    if (method := _measured_cold(variant)) is not None:
        _index(shop, variant, method, task)
    pictures = list({one.image_id: one for one in (*task.gallery, *task.queries)}.values())
    with progress(f"embedding {variant.name}".strip(), len(pictures)) as advance:
        embeddings = embed([picture.path for picture in pictures], shop.load(_settings(shop, variant)), advance)
    rows = {picture.image_id: place for place, picture in enumerate(pictures)}
    kept = task.without({pictures[place].image_id for place in embeddings.refused})
    if not kept.queries:
        raise ConfigurationError("none of the queries could be embedded")
    queries = embeddings.rows[[rows[picture.image_id] for picture in kept.queries]]
    gallery = embeddings.rows[[rows[picture.image_id] for picture in kept.gallery]]
    with progress("comparing floats", len(queries)) as advance:
        exact = rank_by_cosine(kept, queries, gallery, shop.plan.k, advance)
    return _Prepared(variant, kept, queries, gallery, exact)


def _measured_cold(variant: Variant) -> Method | None:
    """The first method that is fitted: training reads embeddings again and again, so it is given the cache."""
    fitted = [method for method in variant.methods if method.is_code and method.kind != LEARNED]
    return next(iter(fitted), None) if "embedding_cache" not in variant.settings else None


def _result(shop: Workshop, prepared: _Prepared, method: Method) -> MethodResult:
    plan, task, variant = shop.plan, prepared.task, prepared.variant
    random = np.random.default_rng([plan.rules.seed, 1])
    ranking, distances, image_bytes = _ranking(shop, prepared, method)
    with progress(f"measuring {method.name}", len(task.queries)) as advance:
        columns = measure(task, ranking, advance)
    recall = statistics.bootstrap({"recall": statistics.recall_of(prepared.exact, ranking)}, random)["recall"]
    trec.write_run(task, ranking, _slug(method.name), plan.out / "trec" / _slug(variant.name))
    settings = shop.load(_settings(shop, variant))
    for words, places in zip(
        ("best", "worst"), statistics.places_by_quality(columns[map_names(plan.k)[1]], grids.ROWS), strict=True
    ):
        name = "-".join(filter(None, (_slug(variant.name), _slug(method.name), words)))
        grids.draw_grid(task, ranking, places, settings, plan.out / "grids" / f"{name}.jpg")
    return MethodResult(
        variant=variant.name,
        method=method,
        embedder=settings.embedder,
        image_bytes=image_bytes,
        measures=statistics.bootstrap(columns, random),
        recall_of_float=recall,
        tied=int(ranking.tied.sum()),
        curves=curves.draw_curves(task, distances, random),
        vote=statistics.vote(task, ranking, plan.knn) if plan.knn else None,
        encoder=_encoder_id(shop, variant, method) if method.is_code else None,
        bits=statistics.bit_statistics(ranking.gallery_codes) if method.is_code else None,
        rate=_rate(_folder(shop, variant, method)) if method.is_code else None,
    )


def _ranking(shop: Workshop, prepared: _Prepared, method: Method) -> tuple[Ranking, curves.Distances, int]:
    """The hits, what gives all distances of a query, and the bytes of an image."""
    if method.is_code:
        ranking = _rank_codes(shop, prepared, method)
        codes = ranking.gallery_codes
        return ranking, curves.hamming(ranking.query_codes, codes), codes.shape[1]
    queries, gallery, exact = prepared.queries, prepared.gallery, prepared.exact
    if method.kind == FLOAT_PCA:
        queries, gallery = reduced_by_pca(queries, gallery, method.size)
        with progress(method.name, len(queries)) as advance:
            exact = rank_by_cosine(prepared.task, queries, gallery, shop.plan.k, advance)
    return exact, curves.cosine(queries, gallery), gallery.shape[1] * _FLOAT_BYTES


def _rank_codes(shop: Workshop, prepared: _Prepared, method: Method) -> Ranking:
    variant, file = prepared.variant, _folder(shop, prepared.variant, method) / "ranking.npz"
    if not file.exists():
        _index(shop, variant, method, prepared.task)
        with progress(f"asking {method.name}", len(prepared.task.queries)) as advance:
            settings = shop.load(_settings(shop, variant, method))
            rank_by_code(prepared.task, settings, shop.plan.k, shop.now, advance).save(file)
    return Ranking.load(file)


# Indexing -------------------------------------------------------------------------------------------------------------


def _index(shop: Workshop, variant: Variant, method: Method, task: Task) -> None:
    """Fill the method's index, unless it is full already, and keep the rate."""
    folder = _folder(shop, variant, method)
    if (folder / "indexed.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    indexer, settings = _indexer(shop, variant, method), shop.load(_settings(shop, variant, method))
    _produce(shop, indexer, variant, task)
    cold = method == _measured_cold(variant)
    # Where the rate is that of cold embeddings, fitting must not put some of them into the cache.
    fitter = _indexer(shop, variant, method, cached=False) if cold else indexer
    indexing.prepare_encoder(fitter, settings, method, shop.plan.rules.relevance, variant.train)
    interrupted = folder / "begun"
    cold = cold and not interrupted.exists()
    interrupted.touch()
    seconds = indexing.fill(indexer, settings, len(task.gallery), shop.now)
    (folder / "indexed.json").write_text(json.dumps(asdict(IndexingRate(len(task.gallery), seconds, cold))))


def _produce(shop: Workshop, indexer: Indexer, variant: Variant, task: Task) -> None:
    """Append the events once for each event source."""
    source = variant.settings.get("events_url", "")
    done = shop.work / f"produced-{_digest(source)}"
    if not done.exists():
        if not source:
            # Of an interruption.
            _events_file(shop).unlink(missing_ok=True)
        gallery = shop.work / "gallery.csv"
        indexing.write_gallery(task.gallery, gallery)
        indexing.produce(indexer, gallery)
        done.touch()


def _rate(folder: Path) -> IndexingRate:
    return IndexingRate(**json.loads((folder / "indexed.json").read_text()))


def _encoder_id(shop: Workshop, variant: Variant, method: Method) -> str | None:
    store = open_store(shop.load(_settings(shop, variant, method)))
    try:
        active = store.active_encoder()
        return None if active is None else active.encoder_id
    finally:
        store.close()


def _indexer(shop: Workshop, variant: Variant, method: Method, *, cached: bool = True) -> Indexer:
    settings = _settings(shop, variant, method)
    if not cached:
        del settings["embedding_cache"]
    return Indexer(settings, _folder(shop, variant, method) / "indexer.log")


def _settings(shop: Workshop, variant: Variant, method: Method | None = None) -> dict[str, str]:
    """What is laid over the environment: the variant's settings, and an index of the method's own."""
    plan, folder = shop.plan, shop.work / _slug(variant.name)
    made = {
        "events_url": f"file://{_events_file(shop).absolute()}",
        "embedding_cache": str((folder / "embeddings.db").absolute()),
        "metrics_port": "0",
        "log_format": "json",
        "search_seconds": _SEARCH_SECONDS,
        "neighbours_max": str(plan.k + 2 if plan.k > 998 else 1000),
    }
    if method is not None and method.is_code:
        own = _folder(shop, variant, method)
        # What others appended to a source in the same group's name is none of ours.
        name = f"evaluate-{_digest(str(plan.out.absolute()))}-{_slug(variant.name)}-{_slug(method.name)}"
        made |= {"store_url": f"sqlite://{(own / 'catalogue.db').absolute()}", "group": name}
        made |= {"bits": str(method.size)}
        if method.kind != LEARNED:
            made |= {"binarizer": method.kind}
    return made | dict(variant.settings)


def _events_file(shop: Workshop) -> Path:
    return shop.work / "events.jsonl"


def _folder(shop: Workshop, variant: Variant, method: Method) -> Path:
    return shop.work / _slug(variant.name) / _slug(method.name)


def _slug(name: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "-." else "-" for sign in name)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
