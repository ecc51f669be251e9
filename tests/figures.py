"""Figures in a document that a command writes, between `<!-- figures: NAME -->` and `<!-- end of NAME -->`."""

from pathlib import Path


def write_block(document: Path, name: str, content: str) -> None:
    """Replace what stands between the marks; ValueError where they are not there."""
    begin, end = f"<!-- figures: {name} -->", f"<!-- end of {name} -->"
    before, mark, rest = document.read_text().partition(begin)
    _, end_mark, after = rest.partition(end)
    if not (mark and end_mark):
        raise ValueError(f"{document} has no {begin} … {end}")
    document.write_text(f"{before}{begin}\n{content}\n{end}{after}")
