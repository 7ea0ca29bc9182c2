"""One run of a task: it goes on from what is kept, crawls, and leaves its items."""
