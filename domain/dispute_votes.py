"""When enough different people agree about a dispute."""

from collections import Counter
from collections.abc import Iterable, Mapping

from domain.approvals import DECIDERS, Vote
from domain.disputes import VERBS, Verb


def decided(votes: Iterable[Vote], digest: str, needed: Mapping[str, int], excluded: Iterable[str] = ()) -> Verb | None:
    """Returns the verb that enough different people want for exactly this evidence; None while more are needed.

    Only votes of people count who may still decide disputes and are not `excluded`. Who disagrees is outvoted, never
    ignored: a verb needs its number of people and more of them than the other verb has.
    """
    shut = set(excluded)
    wanted = {
        vote.person_id: vote.decision
        for vote in votes
        if vote.subject_digest == digest and vote.role_now in DECIDERS["dispute"] and vote.person_id not in shut
    }
    counts = Counter(wanted.values())
    for verb in VERBS:
        others = sum(count for name, count in counts.items() if name != verb)
        if counts[verb] >= needed[verb] and counts[verb] > others:
            return verb
    return None
