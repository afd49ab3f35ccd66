"""
``postgresql://``: flows in a PostgreSQL database, which several nodes may share.

`store` implements `helix.interfaces.IFlowStore`. `flows`, `snapshots`, `names` and `loading` do
what it asks on a connection; `pool` and `wire` are the connections, `appends` is the group commit,
`queries` has the statements, and `failures` translates the database's errors.
"""
