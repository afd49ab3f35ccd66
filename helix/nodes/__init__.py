"""
What nodes on one store tell each other, and what they do about it.

`telling` publishes what was done here, `service` hears what was done elsewhere and looks for what
wasn't heard, and `messages` is the format of both, with `start` and `people`. `post` sends, in
parts where a message is large, and `topics` names to whom. `neighbours` knows which nodes are
there, and `asking` asks them; `gathering` does so about what all of them have open.

`showing` tells of the members of flows, `rosters` hears of those on other nodes, `shared` knows
which flows are open on several nodes, and `stamps` tells which join was later.

Imports: flows, sharing, members, documents, limits, log, telemetry and the modules at the top.
Begin with `service`.
"""
