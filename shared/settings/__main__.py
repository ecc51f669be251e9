"""`python -m shared.settings`: the README's table of settings."""

from shared.settings import settings_table

print(settings_table())  # noqa: T201 (what this is run for)
