"""
The stores of flows: memory, SQLite and PostgreSQL, behind one interface
(`helix.interfaces.IFlowStore`).

`opening` makes a store from its URL. `memory`, `sqlite` and `postgresql` are the three. Each also
keeps what flows give, and what proves who somebody is (`memory_access` is a part of `memory`).
`rules` has the rules of all, `access_rows` the rows of what a flow gives, and ``schema`` the
numbered upgrades of the two databases.

Imports: access, documents (ids) and the modules at the top. Begin with `memory`, which is the
shortest.
"""
