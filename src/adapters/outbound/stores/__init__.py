"""
Where journals and bindings are kept.

`LiveJournal` is the one journal: it folds, commits in groups and wakes readers. What differs is the `Storage` beneath
it: memory, SQLite.
"""
