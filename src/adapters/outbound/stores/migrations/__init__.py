"""
From one release's tables to the next's.

Alembic's scripts, shipped with the service and run when it opens its database; `schema.py` beside this folder runs
them. There is no alembic.ini.
"""
