"""
Limits: rate limiters, addresses, the work of a JSON text, and long work in a thread.

`rate_limit` is the token bucket of all rate limits. `addresses` counts per IP address. `weight`
estimates the work of a JSON text before it is decoded, and `apart` runs long work in a thread.

Imports: the modules at the top. Begin with `rate_limit`.
"""
