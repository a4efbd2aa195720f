"""A real S3-compatible server on loopback, and a proxy that makes its answers go wrong."""
