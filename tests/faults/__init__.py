"""
Nodes, their database and their clients on hosts of their own, which are cut off and killed.

`network` makes hosts of network namespaces, which needs root, `cluster` runs PostgreSQL and nodes
on them, `writer` is a process that edits, `watch` asks nodes how they are, `trial` has faults
happen while people edit, and checks what must hold afterwards, and `measures` says how long that
took.
"""
