"""
How bytes get to clients: frames, the ways out, and one frame to all members of a flow.

`protocol` and `framing` make frames of messages. An `outlet` is the way out to one client, and
bounds what waits there; `backlog` bounds what waits for all clients together. `broadcast` and
`fanout` send one frame to many.

Imports: telemetry, limits, and the modules at the top. Begin with `protocol`, then `outlet`.
"""
