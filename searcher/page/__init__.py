"""The page: server-rendered, with a little script, nothing loaded from elsewhere."""
