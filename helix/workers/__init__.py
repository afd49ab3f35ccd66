"""
Several nodes on one machine: a parent that opens the ports, and workers that serve at them.

`parent` starts the workers, starts them again and replaces them; `process` is one of them as the
parent sees it, `output` what it writes, and `deaths` counts its ends. `sockets` hands the ports on.
`child` is a worker's end, and `messages` what the two tell each other.

Imports: telemetry, config and the modules at the top. Begin with `parent`.
"""
