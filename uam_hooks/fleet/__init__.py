"""Several clones with one queue: what is handed over to another queue, and what is landed for another one."""
