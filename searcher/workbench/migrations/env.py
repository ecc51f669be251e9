"""Run by Alembic: the migrations, in the transaction of whoever opens the database."""

from alembic import context

from searcher.workbench.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # SQLite changes a table by making it anew.
    render_as_batch=True,
)
context.run_migrations()
