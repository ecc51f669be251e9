"""Runs a plan: index, ask, measure, variant by variant. What is finished stays, and the plan goes on from there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searcher.evaluation import curves, grids, statistics, trec
from searcher.evaluation.asking import rank_by_code
from searcher.evaluation.collection import CIFAR10, read_collection, unpack
from searcher.evaluation.elasticsearch_floats import rank_in_elasticsearch
from searcher.evaluation.embedding import embed
from searcher.evaluation.measures import map_names, measure
from searcher.evaluation.plan import FLOAT_ELASTICSEARCH, FLOAT_PCA, Method, Plan, Variant
from searcher.evaluation.ranking import Ranking, rank_by_cosine, reduced_by_pca
from searcher.evaluation.results import MethodResult, VariantSize
from searcher.evaluation.task import Task, divide
from searcher.evaluation.workshop import Workshop, encoder_of, index, prepare_words, rate_of, slug
from shared.encoding.opening import check_embedder
from shared.errors import ConfigurationError
from shared.terminal import progress

_FLOAT_BYTES = 4

Rows = NDArray[np.float32]


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
    task = _task(shop)
    prepare_words(shop, task)
    for variant in shop.plan.variants:
        check_embedder(shop.loaded(variant))
    results: list[MethodResult] = []
    sizes: dict[str, VariantSize] = {}
    for variant in shop.plan.variants:
        prepared = _prepare(shop, variant, task)
        kept = prepared.task
        refused = len(task.gallery) - len(kept.gallery)
        sizes[variant.name] = VariantSize(
            len(kept.gallery), len(kept.queries), float(kept.relevant_counts().mean()), refused
        )
        trec.write_qrels(kept, shop.plan.out / "trec" / slug(variant.name))
        results += [_result(shop, prepared, method) for method in variant.methods]
    return results, sizes


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
        index(shop, variant, method, task, cold=True)
    pictures = list({one.image_id: one for one in (*task.gallery, *task.queries)}.values())
    with progress(f"embedding {variant.name}".strip(), len(pictures)) as advance:
        embeddings = embed([picture.path for picture in pictures], shop.loaded(variant), advance)
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
    fitted = [method for method in variant.methods if method.is_code and not method.is_trained]
    return next(iter(fitted), None) if "embedding_cache" not in variant.settings else None


def _result(shop: Workshop, prepared: _Prepared, method: Method) -> MethodResult:
    plan, task, variant = shop.plan, prepared.task, prepared.variant
    random = np.random.default_rng([plan.rules.seed, 1])
    ranking, distances, image_bytes = _ranking(shop, prepared, method)
    with progress(f"measuring {method.name}", len(task.queries)) as advance:
        columns = measure(task, ranking, advance)
    recall = statistics.bootstrap({"recall": statistics.recall_of(prepared.exact, ranking)}, random)["recall"]
    trec.write_run(task, ranking, slug(method.name), plan.out / "trec" / slug(variant.name))
    settings = shop.loaded(variant)
    for words, places in zip(
        ("best", "worst"), statistics.places_by_quality(columns[map_names(plan.k)[1]], grids.ROWS), strict=True
    ):
        name = "-".join(filter(None, (slug(variant.name), slug(method.name), words)))
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
        encoder=encoder_of(shop, variant, method) if method.is_code else None,
        bits=statistics.bit_statistics(ranking.gallery_codes) if method.is_code else None,
        rate=rate_of(shop, variant, method) if method.is_code else None,
    )


def _ranking(shop: Workshop, prepared: _Prepared, method: Method) -> tuple[Ranking, curves.Distances, int]:
    """The hits, what gives all distances of a query, and the bytes of an image."""
    if method.is_code:
        ranking = _rank_codes(shop, prepared, method)
        codes = ranking.gallery_codes
        return ranking, curves.hamming(ranking.query_codes, codes), codes.shape[1]
    queries, gallery, exact = prepared.queries, prepared.gallery, prepared.exact
    if method.kind == FLOAT_ELASTICSEARCH:
        exact = _rank_in_elasticsearch(shop, prepared)
    if method.kind == FLOAT_PCA:
        queries, gallery = reduced_by_pca(queries, gallery, method.size)
        with progress(method.name, len(queries)) as advance:
            exact = rank_by_cosine(prepared.task, queries, gallery, shop.plan.k, advance)
    return exact, curves.cosine(queries, gallery), gallery.shape[1] * _FLOAT_BYTES


def _rank_codes(shop: Workshop, prepared: _Prepared, method: Method) -> Ranking:
    variant, file = prepared.variant, shop.folder(prepared.variant, method) / "ranking.npz"
    if not file.exists():
        index(shop, variant, method, prepared.task, cold=method == _measured_cold(variant))
        with progress(f"asking {method.name}", len(prepared.task.queries)) as advance:
            settings = shop.loaded(variant, method)
            rank_by_code(prepared.task, settings, shop.plan.k, shop.now, advance).save(file)
    return Ranking.load(file)


def _rank_in_elasticsearch(shop: Workshop, prepared: _Prepared) -> Ranking:
    name = f"evaluation-floats-{slug(prepared.variant.name)}".rstrip("-").lower()
    with progress("asking Elasticsearch", len(prepared.queries)) as advance:
        return rank_in_elasticsearch(
            prepared.task,
            prepared.queries,
            prepared.gallery,
            k=shop.plan.k,
            settings=shop.loaded(prepared.variant),
            index=name,
            advance=advance,
        )
