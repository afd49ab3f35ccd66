"""
The stores of flows: memory, SQLite and PostgreSQL, behind one interface
(`helix.interfaces.IFlowStore`).

`opening` makes a store from its URL. `memory`, `sqlite` and `postgresql` are the three; `rules`
has the rules of all, and ``schema`` the numbered upgrades of the two databases.

Imports: documents (ids) and the modules at the top. Begin with `memory`, which is the shortest.
"""
