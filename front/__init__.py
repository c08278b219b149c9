"""What the API and the console share: sign-in, answers given once, permissions, decisions, their dependencies."""
