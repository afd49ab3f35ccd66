"""
Nodes, their database and their clients on hosts of their own, whose lines are cut meanwhile.

`network` makes hosts of network namespaces, which needs root, `cluster` runs PostgreSQL and nodes
on them, `writer` is a process that edits, `watch` asks nodes how they are, and `trial` has faults
happen while people edit, and checks what must hold afterwards.
"""
