"""Prints what SQLite finds wrong with the file; `ok` is nothing."""
import os
import sqlite3

place = os.path.join(os.environ["VOLUME_DATA"], os.environ["CONFIG_DATABASE"])
found = sqlite3.connect(f"file:{place}?mode=ro", uri=True).execute("PRAGMA integrity_check").fetchall()
for (line,) in found:
    print(line)
if found != [("ok",)]:
    raise SystemExit(1)
