"""What engines share when they lay out containers on hosts."""
