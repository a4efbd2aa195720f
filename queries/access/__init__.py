"""A report on access logs alone: sums that are kept while the lines stream by, and what is told of them."""
