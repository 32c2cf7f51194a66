"""Values turned into lines by pure functions, so that what screens show is tested without a terminal."""
