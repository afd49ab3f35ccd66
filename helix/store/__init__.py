"""
Where flows are kept: in memory, in SQLite, in PostgreSQL, behind one interface
(`helix.interfaces.IFlowStore`).

`opening` makes a store of its url. `memory`, `sqlite` and `postgresql` are the three; `rules` has
what all of them keep by, and ``schema`` the numbered upgrades of the two databases.

Imports: documents (ids) and the modules at the top. Begin with `memory`, which is the shortest.
"""
