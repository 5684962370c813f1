"""Residue: what can still be opened, in raw bytes, of what should be gone.

`flask residue` reads the files of both databases as they lie on the disk (free pages and write-ahead logs included),
of a PostgreSQL server, and any other file; tries every sealed text against every key that exists or that it finds; and
looks for tokens in the clear. It must run in a process of its own (`files.py` says why).
"""
