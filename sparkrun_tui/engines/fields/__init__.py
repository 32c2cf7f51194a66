"""The fields of the override form: type, limits, help and known values of each key."""
