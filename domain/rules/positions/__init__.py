"""What rules know of positions beside those that are open: their sums, the sizes of closed ones, figures for sizes."""
