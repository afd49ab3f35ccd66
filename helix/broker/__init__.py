"""
What carries messages between the nodes on one store.

`opening` makes the broker that a URL names: `postgresql`, over LISTEN and NOTIFY, or `redis`, over
the publish and subscribe of Redis or Valkey. What both do alike is in `carrier`, with
`subscriptions` and `echo`. A broker only hurries: what it loses is found in the store.

Imports: `helix.store`, for its connections, and what is below it. Begin with `carrier`.
"""
