"""The home of the store in one SQLite file: one thread writes, others read; what is said to be stored is on disk."""
