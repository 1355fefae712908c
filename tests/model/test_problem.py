"""A problem says its status, its title and what to do, in that order."""

from __future__ import annotations

import pytest

from hexcast.model.problem import Problem


def test_members_are_in_the_contract_order() -> None:
    problem = Problem(412, "the topic has moved on", etag="k-3")
    assert list(problem.members().items()) == [
        ("status", 412),
        ("title", "Precondition Failed"),
        ("detail", "the topic has moved on"),
    ]
    assert problem.etag == "k-3" and not problem.close and str(problem) == problem.detail


@pytest.mark.parametrize("status", [429, 503])
def test_a_passing_fault_always_says_when_to_come_back(status: int) -> None:
    assert Problem(status, "busy").retry_after >= 1
    assert Problem(status, "busy", retry_after=7).retry_after == 7


@pytest.mark.parametrize("status", [400, 404, 409, 500])
def test_other_faults_do_not(status: int) -> None:
    assert Problem(status, "no").retry_after == 0


def test_a_title_of_its_own() -> None:
    assert Problem(409, "d", title="t").members()["title"] == "t"
