"""The catalogue itself: one image, its thumbnail, and pages of images found by words."""

import numpy as np
from numpy.typing import NDArray

from searcher.cursors import decode_cursor, encode_cursor
from searcher.search import Searcher, SearcherParts
from searcher.wire import Filters, ImageReply, ImagesReply, ListedImage
from shared.document import Document, words_of
from shared.errors import CatalogueError, QueryInvalidError, RejectedError
from shared.store import PageCursor

_WORDS_MAX = 16
# Photos differ from their own thumbnails, squashed alike, by 1 to 8, and from other photos of one shop by 18 and more.
_DIFFERENCE_MAX = 12


class ThumbnailMissingError(CatalogueError):
    """No thumbnail is kept for this image, and none can be made."""


class PictureMissingError(CatalogueError):
    """The picture itself can't be shown: it has no URL, or what is there can't be had or is another one by now."""


class Images:
    """Looks images up; only visible ones exist here."""

    def __init__(self, parts: SearcherParts, searcher: Searcher) -> None:
        self._parts = parts
        self._searcher = searcher

    async def image(self, image_id: str) -> ImageReply:
        """The document of an image; ImageNotVisibleError."""
        encoder = self._parts.backend.encoder
        document = await self._searcher.visible_document(image_id)
        return ImageReply.of_version(document, None if encoder is None else encoder.encoder_id)

    async def thumbnail(self, image_id: str) -> bytes:
        """The image's WebP thumbnail, made now where none is kept and the picture has a URL that can be fetched.

        ImageNotVisibleError, ThumbnailMissingError.
        """
        document = await self._searcher.visible_document(image_id)
        kept = await self._parts.backend.ask(lambda store: store.thumbnail(image_id))
        return kept if kept is not None else await self._made(document)

    async def picture(self, image_id: str) -> bytes:
        """The picture itself, as it is at its URL now: a JPEG, PNG or WebP that can be decoded within the limits.

        ImageNotVisibleError; PictureMissingError also where it is another one than the thumbnail shows: who judges must
        see what was indexed.
        """
        document = await self._searcher.visible_document(image_id)
        if document.image_url is None:
            raise PictureMissingError("the picture has no URL")
        thumbnail = await self._parts.backend.ask(lambda store: store.thumbnail(image_id))
        try:
            content = await self._parts.fetcher.fetch(document.image_url)
            found = await self._parts.decoder.decode(content, thumbnail=False)
            kept = None if thumbnail is None else await self._parts.decoder.decode(thumbnail, thumbnail=False)
        except RejectedError as error:
            raise PictureMissingError("the picture can't be fetched now") from error
        if kept is not None and _difference(found.pixels, kept.pixels) > _DIFFERENCE_MAX:
            raise PictureMissingError("another picture is at its URL by now")
        return content

    async def page(self, words: str, cursor: str | None, count: int, filters: Filters | None = None) -> ImagesReply:
        """Up to `count` images whose attributes hold all the words, newest first.

        QueryInvalidError where the cursor is not one of ours.
        """
        wanted = words_of(words)[:_WORDS_MAX]
        if words.strip() and not wanted:
            return ImagesReply(images=[], cursor=None)
        after = None if cursor is None else _read_cursor(cursor)
        visible = (filters or Filters()).restriction(self._searcher.visible_after_ms())
        # One more than is shown tells whether another page follows.
        found = await self._parts.backend.ask(lambda store: store.newest(wanted, visible, after, count + 1))
        shown = found[:count]
        last = shown[-1] if len(found) > count else None
        return ImagesReply(
            images=[ListedImage.of(document) for document in shown],
            cursor=None if last is None else encode_cursor(PageCursor(last.event_time_ms, last.image_id)),
        )

    async def _made(self, document: Document) -> bytes:
        if document.image_url is None:
            raise ThumbnailMissingError("no thumbnail is kept, and the picture has no URL")
        try:
            content = await self._parts.fetcher.fetch(document.image_url)
            decoded = await self._parts.decoder.decode(content, thumbnail=True)
        except RejectedError as error:
            raise ThumbnailMissingError("no thumbnail is kept, and the picture can't be fetched now") from error
        if decoded.thumbnail is None:
            raise ThumbnailMissingError("the decoder gave no thumbnail")
        return decoded.thumbnail


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """The mean difference of two pictures' values, 0 to 255."""
    return float(np.abs(one.astype(np.int16) - other).mean())


def _read_cursor(text: str) -> PageCursor:
    try:
        return decode_cursor(text)
    except (ValueError, RecursionError) as error:
        raise QueryInvalidError("the cursor is not one that a page of images gave") from error
