"""The table ``minutes``: what happened in each minute, kept in the lake so that months of it read at once.

**The invariant.** The minutes of a day are a function of the lake's rows: those of the hour they lie in, and the
requests that ended later and were in flight in it. (Whether the log was there depends on the lines of the days beside
it, too.) The lake only gains rows, until retention takes a whole day, so the number of rows of each hour in each file
is a complete fingerprint of what an hour is made from. Each file of ``minutes`` has the fingerprints of its hours in
its footer. A run counts again, compares, and makes the hours that differ; the file is replaced atomically.

So nothing can go wrong for good. A run that dies leaves the old file, whole, and the next run finds the same hours to
differ. A run that saw older rows leaves fingerprints of older rows. Of two runs at once one is refused: on a local
folder it does not get the lock, on S3 its write names a version that is not there any more. Lines that come late
change the counts of their hour, and those of the hours in which their requests were in flight.

A file is looked into only if its stamp, its number of rows or the rules of its routes are others than last time. Rows
in it can be named by new routes without being more; the footer tells that, and all their hours are made again.

Not promised: minutes of a day whose rows are being removed. Retention removes a day of ``minutes`` after the rows.
"""
