"""The Kafka event log: one topic per table, many receivers and many landers (see ``log``)."""

import warnings

# kafka-python reads its schemas in a way that Python 3.11 and 3.12 call deprecated: nothing a user could mend.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka  # noqa: F401
