"""A simulated cluster inside the process, for trying the program without hardware."""
