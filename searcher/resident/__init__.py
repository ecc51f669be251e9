"""The codes of the window in the searcher's memory: searched exactly on all cores, kept up with the store's changes.

`ResidentIndex` (`index.py`) answers, `Follower` (`follower.py`) keeps it up to date, `HammingSum` says what is near.
"""
