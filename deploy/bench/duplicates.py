"""How well duplicates are found: seeded copies of photos, and pictures of one article.

The same photo: to some pictures of `clothing` copies are made that are resized, compressed, written on, cropped and
mirrored, and all are indexed together. Recall counts, for each kind of change, the copies that are within the radius of
their original; precision the pairs within the radius that are of one source. The same article: `magento`'s pictures of
one style, whatever their colour and view. Indexed by the project's commands, compared as `searcher duplicates` does.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import rig
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from searcher.duplicates.records import Question, Same
from searcher.duplicates.running import code_of
from searcher.duplicates.spread import apart
from searcher.duplicates.window_codes import WindowCodes, read_codes
from searcher.evaluation.collection import Picture, read_collection
from searcher.evaluation.indexing import write_gallery
from shared.settings import Settings
from shared.store.opening import open_store
from tests.figures import write_block

_SEED = 0
_RADII = {Same.PHOTO: (8, 16, 24, 31, 40, 48, 64), Same.ARTICLE: (8, 16, 24, 32, 48, 64)}
_SOURCE = "source"
_CHANGE = "change"
_BLOCK = 512

Change = Callable[[Image.Image, np.random.Generator], Image.Image]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: of `pairs` within the radius the share that is right, and what was found of each kind."""

    collection: str
    same: Same
    radius: int
    pairs: int
    precision: float
    recall: Mapping[str, float]


def main() -> None:
    """Run and report."""
    parser = rig.parser(__doc__ or "")
    parser.add_argument("--copied", type=int, default=400, help="photos that are copied (default: %(default)s)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this document")
    arguments = parser.parse_args()
    rows = [*copies(arguments.copied), *articles()]
    print(json.dumps([asdict(row) for row in rows], indent=2) if arguments.json else table(rows))
    if arguments.write:
        write_block(arguments.write, "duplicates", table(rows))


# Collections ---------------------------------------------------------------------------------------------------------


def copies(copied: int) -> Iterator[Row]:
    """Figures on `clothing` with copies of some of its photos."""
    originals = read_collection("clothing", rig.data_dir() / "data", Path())
    generator = np.random.default_rng(_SEED)
    chosen = generator.choice(len(originals), min(copied, len(originals)), replace=False).tolist()
    with rig.bench(_settings(), servers=False) as bench:
        made = [
            _copy(originals[place], name, change, bench.folder, generator)
            for place in chosen
            for name, change in CHANGES.items()
        ]
        pictures = [
            Picture(one.image_id, one.path, {_SOURCE: one.image_id, _CHANGE: "none"}) for one in originals
        ] + made
        told = {picture.image_id: picture.attributes for picture in pictures}
        title = f"clothing: {len(originals):,} photos, {len(chosen):,} of them with {len(CHANGES)} copies each"
        for same, window in _indexed(bench, pictures):
            sources = [told[image_id][_SOURCE] for image_id in window.image_ids]
            changes = [told[image_id][_CHANGE] for image_id in window.image_ids]
            wanted = {name: changes.count(name) for name in CHANGES}
            yield from _rows(title, same, window, sources, (changes, wanted))


def articles() -> Iterator[Row]:
    """Figures on `magento`'s styles."""
    pictures = [one for one in read_collection("magento", rig.data_dir() / "data", Path()) if "style" in one.attributes]
    styles = {picture.image_id: picture.attributes["style"] for picture in pictures}
    with rig.bench(_settings(), servers=False) as bench:
        title = f"magento: {len(pictures):,} photos, {len(set(styles.values())):,} styles"
        for same, window in _indexed(bench, pictures):
            yield from _rows(title, same, window, [styles[image_id] for image_id in window.image_ids], None)


def _settings() -> dict[str, str]:
    network = f"onnx:{rig.data_dir()}/models/mobilenet_v1_075_224.onnx#embedding"
    return {"embedder": network, "log_level": "warning", "copy_codes": "true", "thumbnails": "false"}


def _indexed(bench: rig.Bench, pictures: Sequence[Picture]) -> Iterator[tuple[Same, WindowCodes]]:
    """Index the pictures, and read both kinds of codes."""
    gallery = bench.folder / "gallery.csv"
    write_gallery(pictures, gallery)
    bench.call("indexer", "produce", "--csv", str(gallery), "--inline")
    bench.call("indexer", "fit")
    bench.call("indexer", "run", "--until-caught-up")
    settings = Settings(_env_file=None, **bench.settings)  # type: ignore[arg-type]
    with closing(open_store(settings)) as store:
        active = store.active_encoder()
        assert active is not None
        for same in Same:
            encoder_id, bits = code_of(same, active.encoder_id, active.bits)
            yield same, read_codes(store, encoder_id, bits, 0, bytes_max=2**30, advance=lambda _: None)


# Changes -------------------------------------------------------------------------------------------------------------


def _resized(picture: Image.Image, _: np.random.Generator) -> Image.Image:
    return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)


def _same(picture: Image.Image, _: np.random.Generator) -> Image.Image:
    return picture


def _written_on(picture: Image.Image, _: np.random.Generator) -> Image.Image:
    """A line of white text on a dark band over a tenth of the height."""
    changed = picture.copy()
    draw = ImageDraw.Draw(changed)
    top, height = round(picture.height * 0.8), round(picture.height * 0.1)
    draw.rectangle((0, top, picture.width, top + height), fill=(20, 20, 20))
    draw.text((8, top), "SALE 50 % OFF", fill="white", font=ImageFont.load_default(round(height * 0.8)))
    return changed


def _cropped(share: float) -> Change:
    """Somewhere within the picture, so much of each side left off."""

    def crop(picture: Image.Image, generator: np.random.Generator) -> Image.Image:
        width, height = round(picture.width * (1 - share)), round(picture.height * (1 - share))
        left, top = (int(generator.integers(0, rest + 1)) for rest in (picture.width - width, picture.height - height))
        return picture.crop((left, top, left + width, top + height))

    return crop


def _mirrored(picture: Image.Image, _: np.random.Generator) -> Image.Image:
    return ImageOps.mirror(picture)


CHANGES: Mapping[str, Change] = {
    "half size": _resized,
    "JPEG 20": _same,
    "text": _written_on,
    "crop 5 %": _cropped(0.05),
    "crop 15 %": _cropped(0.15),
    "flip": _mirrored,
}
_QUALITY = {"JPEG 20": 20}


def _copy(original: Picture, name: str, change: Change, folder: Path, generator: np.random.Generator) -> Picture:
    image_id = f"{original.image_id} {name}"
    changed = change(Image.open(original.path).convert("RGB"), generator)
    target = io.BytesIO()
    changed.save(target, "JPEG", quality=_QUALITY.get(name, 90))
    path = folder / f"{original.image_id.replace('/', '-')}-{list(CHANGES).index(name)}.jpg"
    path.write_bytes(target.getvalue())
    return Picture(image_id, path, {_SOURCE: original.image_id, _CHANGE: name})


# Figures -------------------------------------------------------------------------------------------------------------


def _rows(
    title: str,
    same: Same,
    window: WindowCodes,
    sources: Sequence[str],
    changed: tuple[Sequence[str], Mapping[str, int]] | None,
) -> Iterator[Row]:
    """A row for each radius; `changed` names the change of each image, and how many copies of each kind were made."""
    _, source = np.unique(np.array(sources), return_inverse=True)
    sizes = np.bincount(source)
    all_right = int((sizes * (sizes - 1) // 2).sum())
    lefts, rights, distances = _near(window.codes, Question(same, max(_RADII[same])))
    right = source[lefts] == source[rights]
    for radius in _RADII[same]:
        within = distances <= radius
        pairs, found = int(within.sum()), int((within & right).sum())
        recall = {"all pairs": found / all_right}
        if changed is not None:
            changes = np.array(changed[0])
            one, other = changes[lefts], changes[rights]
            recall = {
                name: int(
                    (within & right & (((one == "none") & (other == name)) | ((other == "none") & (one == name)))).sum()
                )
                / count
                for name, count in changed[1].items()
            }
        yield Row(title, same, radius, pairs, found / pairs if pairs else 1.0, recall)


def _near(
    codes: NDArray[np.uint8], question: Question
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """All pairs within the radius, with their distances; the collections are small enough to compare all with all."""
    lefts, rights, distances = [], [], []
    for start in range(0, len(codes), _BLOCK):
        block = apart(codes[start : start + _BLOCK], codes, question.same).astype(np.int64)
        one, other = np.nonzero(block <= question.radius)
        once = one + start < other
        lefts.append(one[once] + start)
        rights.append(other[once])
        distances.append(block[one[once], other[once]])
    return np.concatenate(lefts), np.concatenate(rights), np.concatenate(distances)


def table(rows: Sequence[Row]) -> str:
    """The figures as Markdown, a table for each collection."""
    parts = []
    for title in dict.fromkeys(row.collection for row in rows):
        of_title = [row for row in rows if row.collection == title]
        kinds = list(of_title[0].recall)
        heads = " | ".join(f"found: {kind}" for kind in kinds)
        lines = [
            f"`{title.partition(':')[0]}`:{title.partition(':')[2]}.",
            "",
            f"| same | radius | pairs | precision | {heads} |",
            f"| --- | --- | --- | --- |{' --- |' * len(kinds)}",
        ]
        lines += [
            f"| {row.same} | {row.radius} | {row.pairs:,} | {row.precision:.3f} | "
            + " | ".join(f"{row.recall[kind]:.3f}" for kind in kinds)
            + " |"
            for row in of_title
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
