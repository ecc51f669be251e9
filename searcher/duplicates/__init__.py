"""Near-duplicates: the same photo, or the same article, found over the whole window and reviewed group by group."""
