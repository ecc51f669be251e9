"""Where a plan is carried out: folders, the settings of each method's own catalogue, and the filling of its index."""

import hashlib
import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from searcher.evaluation import indexing
from searcher.evaluation.indexing import Indexer, IndexingRate
from searcher.evaluation.plan import LEARNED, TUNED, Method, Plan, Variant
from searcher.evaluation.task import Task
from shared.errors import ConfigurationError
from shared.settings import Settings
from shared.store.opening import open_store

_SEARCH_SECONDS = "300"
_NEIGHBOURS = 1000
# On a large collection 256 bits of ITQ rank above their floats only from some 10,000 pictures on (EVALUATION.md).
_FITTED_ON_MAX = 20_000
_VOCABULARY_OF_MAX = 2000
_WORK = "{work}"
_BAG_OF_WORDS = "bovw:"


@dataclass(frozen=True, slots=True)
class Workshop:
    """`load` gives settings with some laid over them. Everything that is needed to go on lies below `work`."""

    plan: Plan
    load: Callable[[Mapping[str, str]], Settings]
    now: Callable[[], datetime]

    @property
    def work(self) -> Path:
        """Indexes, logs, and answers."""
        return self.plan.out / "work"

    def folder(self, variant: Variant, method: Method) -> Path:
        """What belongs to one method."""
        return self.work / slug(variant.name) / slug(method.name)

    def settings(self, variant: Variant, method: Method | None = None) -> dict[str, str]:
        """What is laid over the environment: an index of the method's own, then the variant's settings."""
        work = self.work.absolute()
        made = {
            "events_url": f"file://{self.events_file.absolute()}",
            "embedding_cache": str(work / slug(variant.name) / "embeddings.db"),
            "metrics_port": "0",
            "log_format": "json",
            "search_seconds": _SEARCH_SECONDS,
            "neighbours_max": str(max(_NEIGHBOURS, self.plan.k + 2)),
        }
        if method is not None and method.is_code:
            own = self.folder(variant, method).absolute()
            # A source of the user's may know the group of another evaluation.
            group = f"evaluate-{_digest(str(work))}-{slug(variant.name)}-{slug(method.name)}"
            made |= {"store_url": f"sqlite://{own / 'catalogue.db'}", "group": group, "bits": str(method.size)}
            if not method.is_trained:
                made |= {"binarizer": method.kind}
        made |= {name: value.replace(_WORK, str(work)) for name, value in variant.settings.items()}
        if method is not None and (weights := self.tuned_weights(variant, method)).exists():
            made |= {"weights": str(weights)}
        return made

    def tuned_weights(self, variant: Variant, method: Method) -> Path:
        """Where a fine-tuned network's weights go; nothing is there before, and for other methods."""
        return self.folder(variant, method).absolute() / "tuned.safetensors"

    def loaded(self, variant: Variant, method: Method | None = None) -> Settings:
        """The same as settings."""
        return self.load(self.settings(variant, method))

    def indexer(self, variant: Variant, method: Method, *, cached: bool = True) -> Indexer:
        """What runs the indexer's commands; without the cache each embedding is computed."""
        settings = self.settings(variant, method)
        if not cached:
            del settings["embedding_cache"]
        return Indexer(settings, self.folder(variant, method) / "indexer.log")

    @property
    def events_file(self) -> Path:
        """The event source of all methods, unless the settings name another one."""
        return self.work / "events.jsonl"


def prepare_words(shop: Workshop, task: Task) -> None:
    """Make the vocabulary of a variant with a bag of words whose file is not there yet."""
    for variant in shop.plan.variants:
        settings = shop.settings(variant)
        file = settings.get("embedder", "").removeprefix(_BAG_OF_WORDS)
        if settings.get("embedder", "").startswith(_BAG_OF_WORDS) and not Path(file).exists():
            # Only the event source matters.
            indexer = Indexer({**settings, "embedder": "classic"}, shop.work / "vocabulary.log")
            _produce(shop, indexer, variant, task)
            indexer.run("vocabulary", _sample(task, _VOCABULARY_OF_MAX), f"--out={file}")


def index(shop: Workshop, variant: Variant, method: Method, task: Task, *, cold: bool) -> None:
    """Fill the method's index, unless it is full already, and keep the rate; `cold`: of computing the embeddings."""
    folder = shop.folder(variant, method)
    if (folder / "indexed.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    _produce(shop, shop.indexer(variant, method), variant, task)
    if not indexing.has_encoder(shop.loaded(variant, method)):
        # What an interrupted training left is not what the next one begins with.
        shop.tuned_weights(variant, method).unlink(missing_ok=True)
        first, *options = _first_command(shop, variant, method)
        # What fitting puts into the cache would not be computed while indexing is timed.
        shop.indexer(variant, method, cached=not cold).run(first, _sample(task, _FITTED_ON_MAX), *options)
    # With the weights that fine-tuning has left.
    indexer, settings = shop.indexer(variant, method), shop.loaded(variant, method)
    begun = folder / "begun"
    cold = cold and not begun.exists()
    begun.touch()
    seconds = indexing.fill(indexer, settings, len(task.gallery), shop.now)
    (folder / "indexed.json").write_text(json.dumps(asdict(IndexingRate(len(task.gallery), seconds, cold))))


def rate_of(shop: Workshop, variant: Variant, method: Method) -> IndexingRate:
    """How fast `index` was."""
    return IndexingRate(**json.loads((shop.folder(variant, method) / "indexed.json").read_text()))


def encoder_of(shop: Workshop, variant: Variant, method: Method) -> str:
    """The id of the encoder that the method's index was written with."""
    with closing(open_store(shop.loaded(variant, method))) as store:
        active = store.active_encoder()
    if active is None:
        raise ConfigurationError(f"{method.name}: the index has lost its encoder")
    return active.encoder_id


def commands(shop: Workshop) -> Iterator[str]:
    """The indexer's commands of a plan, for a person to read."""
    for variant in shop.plan.variants:
        for method in filter(lambda one: one.is_code, variant.methods):
            indexer = shop.indexer(variant, method)
            first, *options = _first_command(shop, variant, method)
            for arguments in ([first, f"--sample={_FITTED_ON_MAX}", *options], ["run", "--until-caught-up"]):
                yield shlex.join(["indexer", *indexer.command(*arguments)[3:]])


def slug(name: str) -> str:
    """A name as a part of a file's name."""
    return "".join(sign if sign.isalnum() or sign in "-." else "-" for sign in name)


def _first_command(shop: Workshop, variant: Variant, method: Method) -> list[str]:
    """What makes the method's encoder."""
    labels = f"--labels={','.join(shop.plan.rules.relevance)}"
    if method.kind == LEARNED:
        return ["train", labels, *variant.train]
    if method.kind == TUNED:
        return ["train", labels, "--fine-tune", f"--weights-out={shop.tuned_weights(variant, method)}", *variant.tune]
    return ["fit"]


def _sample(task: Task, most: int) -> str:
    """Where all are sampled, the commands need not wait whether more come."""
    return f"--sample={min(len(task.gallery), most)}"


def _produce(shop: Workshop, indexer: Indexer, variant: Variant, task: Task) -> None:
    """Append the events, once for each event source."""
    source = variant.settings.get("events_url", "")
    done = shop.work / f"produced-{_digest(source)}"
    if not done.exists():
        if not source:
            # A part may be there, of an interruption.
            shop.events_file.unlink(missing_ok=True)
        gallery = shop.work / "gallery.csv"
        indexing.write_gallery(task.gallery, gallery)
        indexing.produce(indexer, gallery)
        done.touch()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
