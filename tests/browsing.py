"""A searcher with drawn pictures for a browser to look at, and what tests of its page do with one."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import uvicorn
from numpy.typing import NDArray
from playwright.sync_api import ConsoleMessage, Dialog, Page, Request, expect

from searcher.search import SearcherParts
from searcher.serving import server_config
from searcher.web import create_app
from shared.images.decoder import DecoderPool
from shared.images.picture import DecodeLimits, decode
from shared.settings import Settings
from tests.pictures import draw, encode
from tests.searchers import ENCODER, FakeSearcher, fake_searcher, image

IMAGES = 60
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
LIMITS = DecodeLimits.of(Settings(_env_file=None), cores=1)


class BrightnessEncoder:
    """256 bits: which of 16 by 16 fields are brighter than the picture. Alike pictures have alike codes."""

    encoder_id = ENCODER.encoder_id
    bits = ENCODER.bits

    def encode(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Codes of pictures (count, 224, 224, 3)."""
        fields = pixels.reshape(len(pixels), 16, 14, 16, 14, 3).mean(axis=(2, 4, 5)).reshape(len(pixels), 256)
        return np.packbits(fields > fields.mean(axis=1, keepdims=True), axis=1), np.ones(len(pixels), dtype=np.bool_)


@dataclass
class Served:
    """A running searcher."""

    base: str
    made: FakeSearcher


def picture(seed: int) -> bytes:
    """A drawn picture's bytes."""
    return encode(draw(200, 150, seed), "PNG")


@contextmanager
def served_pictures(**settings: str) -> Iterator[Served]:
    """A searcher on a free port over drawn pictures; two of the images are hostile."""
    with fake_searcher(**settings) as made, serving(made) as base:
        encoder = BrightnessEncoder()
        made.backend.encoder = encoder
        made.backend.visible_images = IMAGES
        for number in range(IMAGES):
            decoded = decode(picture(number), LIMITS, thumbnail=True)
            pixels = np.frombuffer(decoded.pixels, dtype=np.uint8).reshape(1, 224, 224, 3)
            document = image(
                {7: "50%2F off/thumbnail", 8: HOSTILE}.get(number, f"image-{number:02}"),
                encoder.encode(pixels)[0][0].tobytes(),
                age=timedelta(minutes=number),
                item_id=f"item-{number // 2}",
                thumbnail=decoded.thumbnail,
                image_url="javascript:alert(3)" if number == 8 else f"https://host.example/{number}.jpg",
                attributes={
                    "title": HOSTILE if number == 8 else f"Picture {number:02}",
                    "category": "even" if number % 2 == 0 else "odd",
                },
            )
            made.put(document)
        yield Served(base, made)


@contextmanager
def serving(made: FakeSearcher) -> Iterator[str]:
    """Serve in a thread of its own, with the real decoder; gives the base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server: list[uvicorn.Server] = []
    ready = threading.Event()

    async def run() -> None:
        async with DecoderPool(LIMITS) as decoder:
            parts: SearcherParts = replace(made.parts, decoder=decoder)
            app = create_app(made.services(parts), parts.metrics)
            server.append(uvicorn.Server(server_config(app, drain_seconds=5)))
            ready.set()
            await server[0].serve(sockets=[listener])

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(60)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server[0].should_exit = True
        thread.join(60)
        listener.close()


@contextmanager
def watched(page: Page, base: str) -> Iterator[None]:
    complaints: list[str] = []
    elsewhere: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # A reply with an error status is what some tests ask for; Chromium notes each in its console.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            complaints.append(message.text)

    def refuse(dialog: Dialog) -> None:
        complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def note(request: Request) -> None:
        if not request.url.startswith((base, "data:")):
            elsewhere.append(request.url)

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", refuse)
    page.on("request", note)
    yield
    assert (complaints, elsewhere) == ([], [])


def upload(page: Page, number: int) -> None:
    page.set_input_files("#image", {"name": "seed.png", "mimeType": "image/png", "buffer": picture(number)})
    expect(page.locator("#cropping img")).to_be_visible()
    settled(page)


def settled(page: Page) -> None:
    """Wait until no search is under way."""
    expect(page.locator("#results[aria-busy]")).to_have_count(0)


def ids(page: Page) -> list[str]:
    return [str(found) for found in page.locator(".grid input").evaluate_all("all => all.map(box => box.dataset.id)")]


def ticked(page: Page) -> list[str]:
    return [
        str(found) for found in page.locator(".grid :checked").evaluate_all("all => all.map(box => box.dataset.id)")
    ]


def code_on(page: Page) -> str:
    return page.locator("#seed .code").inner_text()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.dataset.id || document.activeElement.id"))


def search_by(page: Page, image_id: str) -> None:
    page.fill("#find", image_id)
    page.press("#find", "Enter")
    expect(page.locator("#seed .label")).to_have_text(image_id)
    settled(page)
