"""A plan written for other tools that start containers: Docker Compose, systemd and Kubernetes."""
