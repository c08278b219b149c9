"""What the traders hold together, what the firm would owe them, and what a shock would do to both. Pure arithmetic."""
