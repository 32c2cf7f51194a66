"""What commands print: recipes, launches and workloads as plain lines and as JSON."""
