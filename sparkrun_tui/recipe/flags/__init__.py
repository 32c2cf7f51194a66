"""What the engines' command lines accept, as data: one file per engine and version, one flag a line."""
