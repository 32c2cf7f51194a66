"""What hosts, daemons, logs, images and models are asked for, as protocols that doubles can stand in for."""
