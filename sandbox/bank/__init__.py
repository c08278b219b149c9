"""A simulated bank: reads our payment files from a folder and writes answers and statements into it."""
