"""Engine values turned into lines; pure functions, so that what screens say is tested without a terminal."""
