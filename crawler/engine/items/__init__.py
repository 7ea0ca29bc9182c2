"""Items: their fields, the pipelines that change them, the sinks that write them."""
