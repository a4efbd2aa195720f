"""The table ``asset_sizes``: of what sizes each asset went out in each hour, kept so that a month of it reads at once.

**The invariant.** The sizes of a day are a function of the rows that the router's files of that day hold. The file of a
day has the stamps of these files in its footer; a run makes the days whose stamps are others, and replaces each file
atomically. It also has how many rows each hour was made from. Whoever reads it counts the router's rows of the day and
reads these themselves where the two differ: so sizes that are missing or old cost time, and never a wrong answer. (Rows
that were erased, and as many that came since, would not be told from each other until the next run.)

A run that dies leaves the old file, whole, and the next run finds the same stamps to differ. Only days that are over
are made, else each run of a busy day would make that day again.
"""
