"""
Nodes, their database and their clients on hosts of their own, which are cut off and killed.

`network` makes hosts of network namespaces, which needs root, and `cluster` runs PostgreSQL and
nodes on them. `writer` is a process that edits, and `stock` has stock clients. `faults` is what can
happen, `trial` has it happen while people edit, and checks what must hold afterwards; `watch` and
`measures` say how long that took.
"""
