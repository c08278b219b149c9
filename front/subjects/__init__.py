"""What waits for a person: one module per kind of work, and the table of them all.

A new kind of work is a module here and a line in `table.py`. Queue, counts, tabs, addresses, permissions, search, the
API's routes and the console's forms read the table. A page with more than the plain facts needs a presenter in
`console/present/`; a subject that a workflow decides also needs its kind in `domain.decision_requests`.
"""
