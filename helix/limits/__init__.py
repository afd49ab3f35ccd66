"""
How much anybody may do: rate limits, addresses, the work that a text is, and long work in a
thread.

`rate_limit` is the token bucket that all limits of rates are made of. `addresses` counts what
comes from an IP address. `weight` tells how much work a JSON text is before it is decoded, and
`apart` does long work in a thread.

Imports: the modules at the top. Begin with `rate_limit`.
"""
