"""The guard of a node: a small process that outlives the node by a moment.

A node that is killed, hangs or is stopped can no longer stop its crawl processes or give up its
lease. Its guard can: it needs neither the node's interpreter nor its hub (docs/decisions/0025).
"""
