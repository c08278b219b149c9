"""Between the record and the desk at which people work on tickets."""
