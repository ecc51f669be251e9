"""What `searcher serve` does beside answering: watches and alerts, and what goes out to others."""
