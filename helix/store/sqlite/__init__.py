"""
``sqlite:PATH``: flows in one file, written by one thread and read by another.

`store` implements `helix.interfaces.IFlowStore`; `worker` is a thread and its queue; `writes` and
`reads` run there, in transactions; `file` opens, checks and locks the file.
"""
