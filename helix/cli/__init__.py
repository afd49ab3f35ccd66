"""
The commands of ``helix``: each is a client of a running server, or opens a store itself.

`main` has the commands, `commands` runs each on a reactor, `terminal` writes the output, `tailing`
and `transfers` have the work of the larger commands.

Imports: client, store, log (to verify), and the modules at the top. Begin with `main`.
"""
