"""
What flows give to whom: asked of the store, watched while somebody has a flow open, and changed.

What counts is what the store has. `service` asks it, keeps what concerns open channels, and is told
by `following` what other processes change. `changing` reads and writes the access list of REST.

Imports: `helix.access`, and what is below it. Begin with `service`.
"""
