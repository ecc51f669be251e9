"""Catalogue events in, hash codes in the rolling index out.

Flow of one record: poll -> plan -> fetch -> decode -> embed and binarize -> write (or dead-letter) -> commit.
"""
