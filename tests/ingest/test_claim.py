"""What a claim found in Redis means: trusted only where its owner is certain to be stored."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from assets.ingest.dedup import Claim, ClaimVerdict, CommittedOffsets, judge_claim
from assets.ingest.plan import TopicIdPartition

PLACE, ELSEWHERE = TopicIdPartition(UUID(int=1), 0), TopicIdPartition(UUID(int=1), 1)
MINE = Claim(PLACE, 50, 1_000, b"same-bytes")
NOTHING = CommittedOffsets({}, {})


def committed(offset: int, *gaps: tuple[int, int]) -> CommittedOffsets:
    return CommittedOffsets({ELSEWHERE: offset}, {ELSEWHERE: gaps})


def test_a_record_finds_its_own_claim_when_it_is_tried_again() -> None:
    assert judge_claim(MINE, MINE, set(), NOTHING) is ClaimVerdict.OWN


def test_the_same_bytes_of_a_committed_record_are_a_duplicate() -> None:
    assert judge_claim(MINE, Claim(ELSEWHERE, 7, 1_000, b"same-bytes"), set(), committed(8)) is ClaimVerdict.DUPLICATE


def test_a_claim_whose_owner_is_not_committed_decides_nothing() -> None:
    assert judge_claim(MINE, Claim(ELSEWHERE, 8, 1_000, b"same-bytes"), set(), committed(8)) is ClaimVerdict.UNDECIDED


def test_a_claim_whose_owner_fell_into_a_gap_decides_nothing() -> None:
    found = Claim(ELSEWHERE, 7, 1_000, b"same-bytes")
    assert judge_claim(MINE, found, set(), committed(20, (5, 8))) is ClaimVerdict.UNDECIDED


def test_the_same_bytes_earlier_in_the_chunk_are_a_duplicate() -> None:
    found = Claim(ELSEWHERE, 7, 1_000, b"same-bytes")
    assert judge_claim(MINE, found, {(ELSEWHERE, 7)}, NOTHING) is ClaimVerdict.DUPLICATE


def test_other_bytes_under_the_same_id_are_left_to_postgres() -> None:
    assert judge_claim(MINE, Claim(ELSEWHERE, 7, 1_000, b"other-byte"), set(), committed(8)) is ClaimVerdict.UNDECIDED


@given(st.integers(0, 30), st.integers(0, 30), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=3))
def test_no_claim_is_believed_of_an_offset_that_is_not_certainly_stored(
    owner: int, next_offset: int, gaps: list[tuple[int, int]]
) -> None:
    found = Claim(ELSEWHERE, owner, 1_000, MINE.digest)
    certain = owner < next_offset and not any(start <= owner < end for start, end in gaps)
    verdict = judge_claim(MINE, found, set(), committed(next_offset, *gaps))
    assert (verdict is ClaimVerdict.DUPLICATE) == certain
