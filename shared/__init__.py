"""What the indexer and the searcher must agree on; a change here is a re-index or a deploy of both."""
