"""Every flag of each engine's command line, as data files dumped from the engines themselves."""
