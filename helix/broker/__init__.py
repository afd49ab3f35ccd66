"""
What carries messages between the nodes on one store.

`opening` makes the broker that a URL names; `postgresql` is LISTEN and NOTIFY. What brokers over a
server do alike is in `carrier`, with `subscriptions` and `echo`. A broker only hurries: what it
loses is found in the store.

Imports: `helix.store`, for its connections, and what is below it. Begin with `carrier`.
"""
