"""One parser per table: records of one kind in, rows out, whole columns at a time."""
