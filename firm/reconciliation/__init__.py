"""The books and the outside held together: matching, breaks, and how people close them."""
