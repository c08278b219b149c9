"""Which owners hang together: groups tied by identity facts, as exposure adds them up."""

from collections.abc import Mapping

from surveillance.book import Book
from surveillance.groups import Edge, groups
from surveillance.links import links_of

_LINKED = 0.5  # from here on two owners are called linked


def clusters_of(book: Book) -> Mapping[str, str]:
    """Returns the cluster of each owner who is linked to another: the lowest id of its owners. A group that only weak
    pairs hold together is cut, as everywhere."""
    owners = book.accounts.owners
    edges = [
        Edge(link.one, link.other, link.strength)
        for link in links_of(book).all()
        if link.strength >= _LINKED and owners[link.one] and owners[link.other]
    ]
    found = dict[str, str]()
    for group in groups(edges):
        names = sorted(owners[owner] for owner in group.members)
        found |= dict.fromkeys(names, names[0])
    return found
