"""What the firm decides: each module takes the record, checks a decision against it, and writes what follows."""
