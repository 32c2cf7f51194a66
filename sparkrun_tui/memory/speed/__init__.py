"""How fast a model answers, estimated before it is downloaded: bytes read for a token against the bandwidth."""
