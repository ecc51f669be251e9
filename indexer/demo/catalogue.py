"""The demo catalogue: a made-up shop's catalogue events over a few months, drawn from a seed.

Three items in a row are one style in several colours. An item has two to four views. Most are listed once; some meet a
fate on top: a price cut (only attributes change), a new picture, a withdrawal, a copy by another seller, or a listing
that is older than the window.
"""

import base64
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from indexer.demo.outlines import Point
from indexer.demo.pictures import Rgb, View, photograph, resold, to_jpeg
from indexer.demo.products import BADGES, COLOURS, KINDS, PATTERNS, Product, draw_product
from shared.document import Attributes
from shared.rolling_window import window_start

_ITEMS_PER_STYLE = 3
# A prime number of fates, so that every kind of product meets every fate.
_FATES = ("listed",) * 10 + ("price_cut", "resold", "new_picture", "listed", "withdrawn", "resold", "expired")
_SELLERS = (
    "North Pier",
    "Tidewater",
    "Oak & Ash",
    "Little Harbour",
    "Studio Fern",
    "Kite & Co",
    "Blue Door",
    "Maple Row",
)
_LINES = ("Alba", "Brisa", "Corvo", "Dune", "Ember", "Fjord", "Grove", "Haven", "Isla", "Juno", "Kelp", "Lumen", "Mira")
_PRICES = {
    "mug": 9,
    "t-shirt": 19,
    "bag": 39,
    "shoe": 69,
    "lamp": 49,
    "chair": 129,
    "bottle": 17,
    "watch": 99,
    "hat": 25,
}
_PRICES |= {"box": 7, "cushion": 29, "vase": 34}
_LYING = frozenset({"t-shirt", "watch"})
_WHITE: Rgb = (243, 243, 244)
_STUDIOS: Sequence[tuple[Rgb, Rgb]] = (
    (_WHITE, _WHITE),
    ((232, 233, 236), (222, 220, 217)),
    ((238, 233, 226), (226, 214, 198)),
)
_ROOMS: Sequence[tuple[Rgb, Rgb]] = (
    ((206, 220, 214), (186, 146, 106)),
    ((226, 204, 190), (150, 112, 82)),
    ((190, 204, 222), (224, 220, 212)),
    ((222, 216, 184), (202, 172, 134)),
)


@dataclass(frozen=True, slots=True)
class Picture:
    """What a picture shows and how it was made; `crop` is set on another seller's copy."""

    product: Product
    view: View
    jpeg_quality: int
    crop: Point | None = None


@dataclass(frozen=True, slots=True)
class PlannedEvent:
    """A catalogue event whose picture is not drawn yet; `picture` None is a delete."""

    image_id: str
    item_id: str
    event_time: datetime
    picture: Picture | None
    attributes: Attributes


def draw_catalogue(items: int, seed: int, now: datetime, months: int) -> Iterator[dict[str, Any]]:
    """The catalogue events of so many items, pictures inline, ordered by event time up to `now` (UTC).

    The same arguments give the same events, byte for byte with the same Pillow.
    """
    return draw_events(plan_catalogue(items, seed, now, months))


def plan_catalogue(items: int, seed: int, now: datetime, months: int) -> list[PlannedEvent]:
    """The events that `draw_catalogue` gives, in the same order, without their pictures."""
    start = window_start(now, months)
    planned = [event for number in range(items) for event in _plan_item(number, seed, start, now)]
    return sorted(planned, key=lambda event: (event.event_time, event.image_id))


def draw_events(planned: Sequence[PlannedEvent]) -> Iterator[dict[str, Any]]:
    """Draw the pictures of planned events, one at a time; a product's views lie close together, so it is drawn once."""
    draw = lru_cache(maxsize=32)(draw_product)
    for event in planned:
        fields: dict[str, Any] = {
            "image_id": event.image_id,
            "item_id": event.item_id,
            "version": _microseconds(event.event_time),
            "event_time": event.event_time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if event.picture is None:
            yield fields | {"deleted": True}
            continue
        picture = photograph(draw(event.picture.product), event.picture.view)
        if event.picture.crop is not None:
            picture = resold(picture, event.picture.crop)
        content = base64.b64encode(to_jpeg(picture, event.picture.jpeg_quality)).decode()
        yield fields | {"image": {"bytes": content}, "attributes": event.attributes}


def _plan_item(number: int, seed: int, start: datetime, now: datetime) -> Iterator[PlannedEvent]:
    fate = _FATES[number % len(_FATES)]
    dice = random.Random(f"{seed}/item/{number}")
    product, line = _style(number // _ITEMS_PER_STYLE, seed)
    colour, accent = dice.sample(sorted(COLOURS), 2)
    product = replace(product, colour=colour, accent=accent)
    if fate == "expired":
        listed = start - timedelta(days=dice.uniform(1, 20))
    else:
        listed = start + (now - start) * dice.uniform(0.01, 0.998)
    listing = _listing(f"{product.kind}-{number:04d}", product, line, listed, dice)
    yield from listing
    later = listed + (now - listed) * dice.uniform(0.1, 0.9)
    yield from _follow_up(fate, listing, later, dice)


def _follow_up(fate: str, listing: list[PlannedEvent], later: datetime, dice: random.Random) -> Iterator[PlannedEvent]:
    """What happens to a listing at a later time."""
    if fate == "price_cut":
        price = round(_price_of(listing[0]) * 0.8, 2)
        for event in listing:
            yield replace(event, event_time=later, attributes={**event.attributes, "price": price})
    elif fate == "new_picture":
        front = listing[0]
        if front.picture is not None:
            picture = replace(front.picture, view=_view("styled", front.picture.product.kind, dice))
            yield replace(front, event_time=later, picture=picture)
    elif fate == "withdrawn":
        for event in listing:
            yield replace(event, event_time=later, picture=None, attributes={})
    elif fate == "resold":
        yield _resale(listing[0], later, dice)


def _listing(item_id: str, product: Product, line: str, listed: datetime, dice: random.Random) -> list[PlannedEvent]:
    names = ["front", *dice.sample(["turned", "detail", "styled"], dice.randint(1, 3))]
    price = round(_PRICES[product.kind] * dice.uniform(0.7, 1.4), 2)
    facts: dict[str, str | float] = {
        "title": _title(product, line),
        "category": product.kind,
        "colour": product.colour,
        "pattern": product.pattern,
        "seller": dice.choice(_SELLERS),
        "price": price,
    }
    return [
        PlannedEvent(
            image_id=f"{item_id}/{name}",
            item_id=item_id,
            event_time=_milliseconds(listed) + timedelta(milliseconds=position),
            picture=Picture(product, _view(name, product.kind, dice), dice.randint(80, 92)),
            attributes={**facts, "view": name},
        )
        for position, name in enumerate(names)
    ]


def _resale(front: PlannedEvent, later: datetime, dice: random.Random) -> PlannedEvent:
    """Another seller offers the same item, with the same picture cut and compressed once more."""
    others = [seller for seller in _SELLERS if seller != front.attributes["seller"]]
    crop = (dice.uniform(0.02, 0.07), dice.uniform(0.02, 0.07))
    return PlannedEvent(
        image_id=f"{front.item_id}-resold/front",
        item_id=f"{front.item_id}-resold",
        event_time=_milliseconds(later),
        picture=front.picture and replace(front.picture, crop=crop, jpeg_quality=dice.randint(40, 65)),
        attributes={**front.attributes, "seller": dice.choice(others), "price": round(_price_of(front) * 0.9, 2)},
    )


def _style(number: int, seed: int) -> tuple[Product, str]:
    """A product of style `number` in a colour to be replaced, and the name of its line."""
    dice = random.Random(f"{seed}/style/{number}")
    product = Product(
        kind=list(KINDS)[number % len(KINDS)],
        colour="white",
        accent="grey",
        pattern=dice.choice(PATTERNS),
        badge=dice.choice(sorted(BADGES)),
        shape=(dice.random(), dice.random(), dice.random()),
    )
    return product, dice.choice(_LINES)


def _title(product: Product, line: str) -> str:
    if product.pattern == "plain":
        return f"{line} {product.kind}, {product.colour}"
    if product.pattern == "badge":
        return f"{line} {product.kind} with a {product.accent} {product.badge}, {product.colour}"
    return f"{line} {product.pattern} {product.kind}, {product.colour} and {product.accent}"


def _view(name: str, kind: str, dice: random.Random) -> View:
    turn, scale, spread, (wall, floor) = 1.0, dice.uniform(0.92, 1.04), 0.02, dice.choice(_STUDIOS)
    if name == "turned":
        turn, scale = -dice.uniform(0.72, 0.9), dice.uniform(0.85, 1.0)
    elif name == "detail":
        scale, spread = dice.uniform(1.45, 1.75), 0.09
    elif name == "styled":
        scale, spread, (wall, floor) = dice.uniform(0.72, 0.86), 0.06, dice.choice(_ROOMS)
    return View(
        turn=turn,
        angle=dice.uniform(-5, 5) if kind in _LYING or name == "detail" else dice.uniform(-1, 1),
        scale=scale,
        shift=(dice.uniform(-spread, spread), dice.uniform(-spread, spread)),
        wall=wall,
        floor=wall if kind in _LYING else floor,
        light=dice.uniform(0.94, 1.05),
        warmth=dice.uniform(0.98, 1.03),
    )


def _price_of(event: PlannedEvent) -> float:
    return float(str(event.attributes["price"]))


def _milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
