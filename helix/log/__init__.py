"""
The log of a flow that is open: from what somebody wants changed to an entry that is stored.

`edits` says what is asked for and what became of it. `submitters` knows who has what under way,
and recognises what is sent again. `commit_loop` stages edits in groups (`commit_group`), appends
each group to the store by compare-and-set, and only then acknowledges. `remote_writes` takes in
what others wrote; `live_log` holds the document and the newest entries. `verify` replays whole
stores.

Imports: documents, delivery, limits and the modules at the top; a store only by its interface.
Begin with `commit_loop`.
"""
