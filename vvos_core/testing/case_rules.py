"""Cases: the multipart rules fit together, and every size is cut by them."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st

from ..errors import BadInput, TooLarge
from ..model import Ask
from ..plan import plan_chunks
from .bench import Bench
from .verdict import fail


class RuleCases(Bench):
    def test_the_rules_fit_together(self) -> None:
        rules = self.rules
        faults = {
            "threshold is negative": rules.threshold < 0,
            "min_part is less than 1": rules.min_part < 1,
            "part_size is less than min_part": rules.part_size < rules.min_part,
            "part_size is more than max_part": rules.part_size > rules.max_part,
            "max_parts is less than 1": rules.max_parts < 1,
            "max_key is less than 1": rules.max_key < 1,
            "align is less than 1": rules.align < 1,
            "max_part is no multiple of align": rules.max_part % max(1, rules.align) != 0,
            "max_part × max_parts is no more than threshold, so no object can go in parts": (
                self.capabilities.multipart and rules.max_part * rules.max_parts <= rules.threshold
            ),
            "max_part × max_parts is more than threshold, so some objects would go in parts": (
                not self.capabilities.multipart and rules.max_part * rules.max_parts > rules.threshold
            ),
        }
        for fault, there in faults.items():
            if there:
                fail(
                    f"rules: {fault}.",
                    "give the service's own rules; without multipart they are max_parts=1, max_part=threshold.",
                )

    def test_every_plan_obeys_the_rules(self) -> None:
        rules, largest = self.rules, self.rules.max_size
        edges = (rules.threshold, rules.part_size, rules.part_size * rules.max_parts, largest)
        near = st.sampled_from(edges).flatmap(lambda edge: st.integers(max(0, edge - 2), min(largest, edge + 2)))

        @settings(deadline=None, max_examples=200)
        @given(near | st.integers(0, largest))
        def obeys(size: int) -> None:
            plan = plan_chunks(size, rules)
            lengths = {plan.span(1)[1], plan.span(max(1, plan.count - 1))[1]}
            offset, last = plan.span(plan.count)
            if not plan.multipart:
                good = size <= rules.threshold and (plan.count, offset, last) == (1, 0, size)
            else:
                good = plan.count <= rules.max_parts and 1 <= last <= rules.max_part and offset + last == size
                if plan.count > 1:
                    good = good and lengths == {plan.part_size} and rules.min_part <= plan.part_size <= rules.max_part
            if not good:
                fail(
                    f"{size} bytes would go as {plan.count} chunks of {plan.part_size}, the last of {last}, "
                    f"which {rules} forbid.",
                    "correct the rules: they contradict each other at this size.",
                )

        obeys()

    def test_a_grant_is_cut_as_the_rules_say(self) -> None:
        sizes = [0, min(1, self.rules.threshold), self.small]
        if self.capabilities.multipart:
            sizes += [self.rules.threshold, self.rules.threshold + 1, self.large]
        for size in sizes:
            grant, plan = self.grant(self.key(f"{size}.bin"), size), plan_chunks(size, self.rules)
            if (grant.multipart, grant.part_size) != (plan.multipart, plan.part_size):
                fail(
                    f"the grant for {size} bytes has multipart={grant.multipart}, part_size={grant.part_size}; by the "
                    f"rules it is {plan.multipart}, {plan.part_size}.",
                    "take both from plan_chunks(ask.size, self.rules), and make rules those of the settings.",
                )
            self.calls.abort(grant)

    def test_the_largest_object_is_granted_and_none_above(self) -> None:
        largest = self.rules.max_size
        grant = self.grant(self.key(), largest)
        self.calls.abort(grant)
        (answer,) = self.token(self.request(Ask(client_key="a", key=self.key("b"), size=largest + 1)))
        if not isinstance(answer, TooLarge):
            fail(
                f"token answered {answer!r} for {largest + 1} bytes, one more than the rules can hold.",
                "answer TooLarge; plan_chunks raises it.",
            )

    def test_a_negative_size_is_refused(self) -> None:
        (answer,) = self.token(self.request(Ask(client_key="a", key=self.key(), size=-1)))
        if not isinstance(answer, BadInput):
            fail("token granted a size of -1.", "answer BadInput for it.")
