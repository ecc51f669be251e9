"""`searcher evaluate` and `searcher distance`: how good the hits are, measured as the field measures it.

Indexing goes through the indexer's own commands as child processes, queries through the searcher in this process.
"""
