"""Models and images on hosts and on this machine: what lies where, what uses it, whether it is whole, what may go."""
