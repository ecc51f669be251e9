"""Picture bytes: fetched under strict rules, decoded in expendable child processes."""
