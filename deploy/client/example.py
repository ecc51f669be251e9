"""Search by a picture, judge what is found, and watch for what is like it.

With `make demo` in one terminal, in another:

    pip install ./deploy/client
    python deploy/client/example.py picture.jpg
"""

import argparse
import base64
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar

from catalogue_client import AuthenticatedClient, Client
from catalogue_client.api.cases import judge, next_images, open_case
from catalogue_client.api.search import search
from catalogue_client.api.watches import alerts, open_watch
from catalogue_client.models import (
    AlertReply,
    Hit,
    JudgedImage,
    JudgeRequest,
    NewCase,
    NewWatchRequest,
    NextRequest,
    ProblemDocument,
    SearchRequest,
    Seed,
    Verdict,
)

T = TypeVar("T")
LOOK_SECONDS = 1.0
VERDICTS: dict[str, Verdict] = {"y": "relevant", "n": "not_relevant"}


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description="Search by a picture, judge what is found, and watch for more.")
    parser.add_argument("picture", type=Path, help="a JPEG, PNG or WebP file")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="where the searcher listens")
    parser.add_argument("--key", help="a key that may judge, where the searcher has keys")
    parser.add_argument("-k", type=int, default=10, help="how many images to judge")
    parser.add_argument("--radius", type=int, default=32, help="how many bits apart an image raises an alert")
    parser.add_argument("--alerts", type=int, help="end after so many alerts; without, Ctrl-C ends")
    options = parser.parse_args()
    with client_of(options.url, options.key) as client, suppress(KeyboardInterrupt):
        case_id = search_and_judge(client, options.picture, options.k)
        for alert in islice(alerts_of(client, case_id, options.radius), options.alerts):
            print(f"{alert.raised_at}: {alert.image.image_id} at {alert.distance} bits", flush=True)


def client_of(url: str, key: str | None) -> AuthenticatedClient | Client:
    """A client with a key, or without."""
    return Client(base_url=url) if key is None else AuthenticatedClient(base_url=url, token=key)


def search_and_judge(client: AuthenticatedClient | Client, picture: Path, k: int) -> str:
    """Find, judge what is found, and see what to judge next; gives the case's id."""
    seed = Seed(image=base64.b64encode(picture.read_bytes()).decode())
    found = answered(search.sync(client=client, body=SearchRequest(seeds=[seed], k=k)))
    case = answered(open_case.sync(client=client, body=NewCase(name=f"Like {picture.name}", seeds=[seed])))
    print(f"{len(found.hits)} hits ({'exact' if found.exact else 'approximate'}), case {case.case_id}")

    judgements = [
        JudgedImage(image_id=hit.image_id, verdict=asked(hit), rank=rank, distance=hit.distance)
        for rank, hit in enumerate(found.hits, start=1)
    ]
    # The code that the reply gives stands for the picture from here on.
    searched = SearchRequest(seeds=[Seed(code=one.code, encoder=one.encoder) for one in found.seeds], k=k)
    request = JudgeRequest(judgements=judgements, search=searched)
    progress = answered(judge.sync(case.case_id, client=client, body=request))
    print(f"{progress.judged} judged, {progress.relevant} relevant")

    following = answered(next_images.sync(case.case_id, client=client, body=NextRequest(k=k)))
    for hit in following.hits:
        print(f"next: {hit.image_id} at {hit.distance} bits from a relevant one")
    return case.case_id


def alerts_of(client: AuthenticatedClient | Client, case_id: str, radius: int) -> Iterator[AlertReply]:
    """Watch for what is like the case's seed and relevant images: alerts of what is there, then of what comes."""
    request = NewWatchRequest(name="Watched by the example", case_id=case_id, radius=radius)
    watch = answered(open_watch.sync(client=client, body=request))
    newest = 0
    while True:
        page = answered(alerts.sync(client=client, watch_id=watch.watch_id, after=newest))
        yield from reversed(page.alerts)
        newest = page.newest
        time.sleep(LOOK_SECONDS)


def asked(hit: Hit) -> Verdict:
    """What a person says of a hit."""
    title = hit.attributes.to_dict().get("title", "")
    answer = input(f"{hit.image_id} at {hit.distance} bits: {title} {hit.image_url or ''}\nRelevant? [y/n/?] ")
    return VERDICTS.get(answer.strip().lower(), "unsure")


def answered(reply: T | ProblemDocument | None) -> T:
    """The reply that was asked for; ends the program where it is a problem."""
    if isinstance(reply, ProblemDocument):
        raise SystemExit(f"{reply.status} {reply.reason}: {reply.detail}")
    assert reply is not None
    return reply


if __name__ == "__main__":
    main()
