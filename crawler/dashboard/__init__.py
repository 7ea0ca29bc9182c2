"""The web page of the cluster, served by every master.

Its pages call the same service as HTTP and gRPC do, and there is nothing that only they can do.
They are written by the server and can be read without JavaScript; docs/dashboard.md describes them.
"""
