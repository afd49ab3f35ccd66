"""
``postgresql://``: flows in a PostgreSQL database, which several nodes may share.

`store` is what implements `helix.interfaces.IFlowStore`; `pool` and `wire` are the connections,
`appends` gathers what is written at once, `queries` has the statements, and `failures` says which
errors of the database mean what.
"""
