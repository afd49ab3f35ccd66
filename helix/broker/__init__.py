"""
What carries messages between the nodes on one store.

`opening` makes the broker that a URL names; `postgresql` is LISTEN and NOTIFY. A broker only
hurries: what it loses is found in the store.

Imports: `helix.store`, for its connections, and what is below it. Begin with `postgresql`.
"""
