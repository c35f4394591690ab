"""Alembic's entry: it runs the scripts on the connection it is given, in that connection's transaction."""

from alembic import context

from opencode_a2a_server.adapters.outbound.stores.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
