"""What `make demo` runs: two processes on the embedded default, usable, cleanly stopped, and quick to start again."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from indexer.demo.pictures import to_jpeg
from indexer.demo.products import Product, draw_product

ROOT = Path(__file__).parents[2]
PAGE = re.compile(r"Page: http://127\.0\.0\.1:(\d+)")


@contextmanager
def demo(folder: Path, *options: str, **settings: str) -> Iterator["subprocess.Popen[str]"]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CATALOGUE_")} | settings
    process = subprocess.Popen(
        [sys.executable, "deploy/demo.py", "--folder", str(folder), *options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    """What the process printed up to a line with `text`; a failure where it ends before."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    pytest.fail(f"the demo ended without {text!r}:\n{seen}")


def get(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
        return json.load(response)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def page_port(output: str) -> int:
    found = PAGE.search(output)
    assert found is not None, output
    return int(found[1])


def test_a_demo_indexes_answers_stops_on_ctrl_c_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    # Neither a cache nor a network: the demo has to find its way without weights.
    without_weights = {"TORCH_HOME": str(tmp_path / "empty"), "https_proxy": "http://127.0.0.1:9"}
    with demo(tmp_path, "--items", "12", **without_weights) as first:
        output = read_until(first, "Ready")
        port = page_port(output)
        assert "Embedder: classic (VGG16's ImageNet weights are neither in the cache" in output
        image_id = get(port, "/v1/images")["images"][0]["image_id"]
        assert get(port, f"/v1/images/{image_id}")["image_id"] == image_id
        first.send_signal(signal.SIGINT)
        rest, _ = first.communicate(timeout=60)
    assert first.returncode == 0
    assert "Stopped." in rest
    assert not listens(port)

    with demo(tmp_path, "--seconds", "0") as second:
        output = read_until(second, "Stopped.")
        second.wait(60)
    assert second.returncode == 0
    assert "Embedder: classic" in output
    assert "appended" not in output
    assert "Looking for" not in output


def test_a_demo_of_ones_own_pictures_is_kept_apart_and_takes_the_folder_as_category(tmp_path: Path) -> None:
    pictures = tmp_path / "my pictures"
    for number, kind in enumerate(["mug", "lamp", "mug"]):
        product = Product(kind, "teal", "orange", "striped", "star", (number / 3, 0.5, 0.5))
        drawn = draw_product(product)
        flat = Image.new("RGB", drawn.size, "white")
        flat.paste(drawn, mask=drawn)
        path = pictures / kind / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(to_jpeg(flat, 90))
    with demo(tmp_path / "kept", "--images", str(pictures), CATALOGUE_EMBEDDER="classic") as process:
        images = get(page_port(read_until(process, "Ready")), "/v1/images")["images"]
    assert {image["image_id"]: image["attributes"] for image in images} == {
        "mug/0.jpg": {"category": "mug"},
        "lamp/1.jpg": {"category": "lamp"},
        "mug/2.jpg": {"category": "mug"},
    }
    assert [folder.name.rpartition("-")[0] for folder in (tmp_path / "kept").iterdir()] == ["my pictures"]
    assert datetime.fromisoformat(images[0]["event_time"]) <= datetime.now(UTC)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with demo(tmp_path / "kept", "--images", str(tmp_path / "away")) as process:
        read_until(process, "there is no folder")
        process.wait(timeout=60)
    assert process.returncode == 2
