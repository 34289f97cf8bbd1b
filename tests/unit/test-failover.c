/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bootsvc/failover-plan: cases by hand, as doc/failover.md tells them, and every combination of a small world against what must hold whatever happens: nobody is
 * fenced when it is the network, more spares are never given than there are, nothing that has begun is left.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "bootsvc/crash.h"
#include "bootsvc/failover-plan.h"

#define S(x) 1000ull * (x)

static const struct failover_policy automatic = {
	.mode = SSI_FAILOVER_AUTO, .limit = 3, .limit_ms = S(600), .share = 50, .at_once_ms = S(4),
};
static const struct failover_policy asks = { .mode = SSI_FAILOVER_ASK, .limit = 3, .limit_ms = S(600), .share = 50, .at_once_ms = S(4) };
static const struct failover_policy off = { .mode = SSI_FAILOVER_OFF, .limit = 3, .limit_ms = S(600), .share = 50, .at_once_ms = S(4) };
static const struct failover_policy patient = {
	.mode = SSI_FAILOVER_AUTO, .delay_ms = S(30), .limit = 3, .limit_ms = S(600), .share = 50, .at_once_ms = S(4),
};
static const struct failover_policy bold = { .mode = SSI_FAILOVER_AUTO, .limit = 3, .limit_ms = S(600), .share = 100, .at_once_ms = S(4) };
static const struct failover_policy unplugged = {
	.mode = SSI_FAILOVER_AUTO, .limit = 3, .limit_ms = S(600), .share = 50, .at_once_ms = S(4), .link_down = true,
};

#define NOW S(1000)
#define NODE(t, ...) { .state = SSI_NODE_DETACHED, .detached = (t), ##__VA_ARGS__ }

/* What is known, and what must come of the first three nodes. */
static const struct plan_case {
	const char *what;
	const struct failover_policy *policy;
	unsigned joined, suspect, lately, spares;
	size_t n;
	struct failover_node nodes[4];
	enum failover_step next[4];
	uint64_t again;
} cases[] = {
	{ "one of three is lost, and there is a spare", &automatic, 2, 0, 0, 1, 1, { NODE(NOW) }, { FAILOVER_FENCE }, 0 },
	{ "it was switched off by hand", &automatic, 2, 0, 0, 1, 1, { NODE(NOW, .step = FAILOVER_HAND) }, { FAILOVER_HAND }, 0 },
	{ "and does not count for those that vanish then", &automatic, 1, 0, 0, 2, 2, { NODE(NOW, .step = FAILOVER_HAND), NODE(NOW) }, { FAILOVER_HAND, FAILOVER_FENCE }, 0 },
	{ "the policy is off", &off, 2, 0, 0, 1, 1, { NODE(NOW) }, { FAILOVER_NONE }, 0 },
	{ "the policy asks", &asks, 2, 0, 0, 1, 1, { NODE(NOW) }, { FAILOVER_ASK }, 0 },
	{ "who was to be asked for is begun when the policy says auto now", &automatic, 2, 0, 0, 1, 1, { NODE(NOW, .step = FAILOVER_ASK) }, { FAILOVER_FENCE }, 0 },
	{ "an administrator says so where the policy is off", &off, 2, 0, 0, 1, 1, { NODE(NOW, .ordered = true) }, { FAILOVER_FENCE }, 0 },
	{ "an administrator says so after an alarm", &automatic, 0, 0, 9, 1, 1, { NODE(NOW, .step = FAILOVER_NETWORK, .ordered = true) }, { FAILOVER_FENCE }, 0 },
	{ "and there is no spare", &automatic, 0, 0, 9, 0, 1, { NODE(NOW, .step = FAILOVER_NETWORK, .ordered = true) }, { FAILOVER_SPARE }, 0 },
	{ "it has its delay", &patient, 2, 0, 0, 1, 1, { NODE(NOW - S(10)) }, { FAILOVER_DELAY }, NOW + S(20) },
	{ "the delay is over", &patient, 2, 0, 0, 1, 1, { NODE(NOW - S(30)) }, { FAILOVER_FENCE }, 0 },
	{ "it came back", &patient, 2, 0, 0, 1, 1, { { .state = SSI_NODE_BOOTING, .detached = NOW - S(5), .step = FAILOVER_DELAY } }, { FAILOVER_NONE }, 0 },
	{ "it is kept out by hand", &automatic, 2, 0, 0, 1, 1, { NODE(NOW, .hold = SSI_HOLD_OUT) }, { FAILOVER_NONE }, 0 },
	{ "it is drained: lost all the same", &automatic, 2, 0, 0, 1, 1, { NODE(NOW, .hold = SSI_HOLD_DRAINED) }, { FAILOVER_FENCE }, 0 },
	{ "no spare", &automatic, 2, 0, 0, 0, 1, { NODE(NOW) }, { FAILOVER_SPARE }, 0 },
	{ "a spare has come", &automatic, 2, 0, 0, 1, 1, { NODE(NOW - S(500), .step = FAILOVER_SPARE) }, { FAILOVER_FENCE }, 0 },
	{ "its own machine has come", &automatic, 2, 0, 0, 0, 1, { { .state = SSI_NODE_BOOTING, .detached = NOW, .step = FAILOVER_SPARE } }, { FAILOVER_NONE }, 0 },
	{ "someone gave it another machine", &automatic, 2, 0, 0, 1, 1, { NODE(NOW, .step = FAILOVER_SPARE, .rebound = true) }, { FAILOVER_NONE }, 0 },
	{ "fenced by hand while it waited", &automatic, 2, 0, 0, 1, 1, { { .state = SSI_NODE_OFF, .detached = NOW, .step = FAILOVER_SPARE } }, { FAILOVER_FENCE }, 0 },
	{ "the limit is reached", &automatic, 2, 0, 3, 1, 1, { NODE(NOW) }, { FAILOVER_LIMIT }, 0 },
	{ "and stays, when it is not any more", &automatic, 2, 0, 0, 1, 1, { NODE(NOW, .step = FAILOVER_LIMIT) }, { FAILOVER_LIMIT }, 0 },
	{ "the limit is reached by those of the same moment", &bold, 6, 0, 2, 4, 2, { NODE(NOW), NODE(NOW) }, { FAILOVER_FENCE, FAILOVER_LIMIT }, 0 },
	{ "two fail one after the other, one spare", &automatic, 0, 0, 0, 1, 2, { NODE(NOW - S(20), .step = FAILOVER_SPARE), NODE(NOW) }, { FAILOVER_FENCE, FAILOVER_SPARE }, 0 },
	{ "the second, while the first is under way", &automatic, 1, 0, 1, 0, 2, { NODE(NOW - S(20), .step = FAILOVER_FENCE), NODE(NOW) }, { FAILOVER_FENCE, FAILOVER_SPARE }, 0 },
	{ "two of two at once are the network", &automatic, 0, 0, 0, 2, 2, { NODE(NOW - 300), NODE(NOW) }, { FAILOVER_NETWORK, FAILOVER_NETWORK }, 0 },
	{ "not where that is said to be none", &bold, 0, 0, 0, 1, 2, { NODE(NOW - 300), NODE(NOW) }, { FAILOVER_FENCE, FAILOVER_SPARE }, 0 },
	{ "two of four are a half, not more", &automatic, 2, 0, 0, 2, 2, { NODE(NOW), NODE(NOW) }, { FAILOVER_FENCE, FAILOVER_FENCE }, 0 },
	{ "three of four are the network", &automatic, 1, 0, 0, 3, 3, { NODE(NOW), NODE(NOW), NODE(NOW) }, { FAILOVER_NETWORK, FAILOVER_NETWORK, FAILOVER_NETWORK }, 0 },
	{ "the first of three, the others are silent too", &automatic, 0, 2, 0, 1, 1, { NODE(NOW) }, { FAILOVER_LOOK }, NOW + S(4) },
	{ "one other is silent, out of five", &automatic, 3, 1, 0, 1, 1, { NODE(NOW) }, { FAILOVER_FENCE }, 0 },
	{ "the only node of a system", &automatic, 0, 0, 0, 1, 1, { NODE(NOW) }, { FAILOVER_FENCE }, 0 },
	{ "the master's own link is down", &unplugged, 5, 0, 0, 1, 1, { NODE(NOW) }, { FAILOVER_NETWORK }, 0 },
	{ "nobody is taken up while it is down", &unplugged, 5, 0, 0, 1, 1, { NODE(NOW - S(99), .step = FAILOVER_SPARE) }, { FAILOVER_SPARE }, 0 },
	{ "of those that were cut off one has come back, the rest is left alone", &automatic, 2, 0, 0, 2, 1, { NODE(NOW - S(30), .step = FAILOVER_NETWORK) },
	  { FAILOVER_NETWORK }, 0 },
	{ "and is forgotten when it is off", &off, 2, 0, 0, 2, 1, { NODE(NOW - S(30), .step = FAILOVER_NETWORK) }, { FAILOVER_NONE }, 0 },
	{ "one that was moved by hand in that moment does not count", &automatic, 1, 0, 0, 1, 2,
	  { { .state = SSI_NODE_FENCING, .detached = NOW, .step = FAILOVER_FENCE, .ordered = true }, NODE(NOW) }, { FAILOVER_FENCE, FAILOVER_FENCE }, 0 },
	{ "what has begun goes on, whatever", &off, 0, 0, 9, 0, 2, { { .step = FAILOVER_BOOT }, { .state = SSI_NODE_JOINED, .step = FAILOVER_POWER } },
	  { FAILOVER_BOOT, FAILOVER_POWER }, 0 },
	{ "the spare is lost as well: the next", &automatic, 2, 0, 1, 1, 1, { { .state = SSI_NODE_FAILED, .step = FAILOVER_BOOT, .gone = true } }, { FAILOVER_FENCE }, 0 },
	{ "or none", &automatic, 2, 0, 1, 0, 1, { { .state = SSI_NODE_FAILED, .step = FAILOVER_BOOT, .gone = true } }, { FAILOVER_SPARE }, 0 },
	{ "or the limit", &automatic, 2, 0, 3, 1, 1, { { .state = SSI_NODE_FAILED, .step = FAILOVER_BOOT, .gone = true } }, { FAILOVER_LIMIT }, 0 },
	{ "not where the link is down", &unplugged, 0, 0, 1, 1, 1, { { .state = SSI_NODE_FAILED, .step = FAILOVER_BOOT, .gone = true } }, { FAILOVER_NETWORK }, 0 },
};

static void told(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct plan_case *c = &cases[i];
		const struct failover_facts f = { .joined = c->joined, .suspect = c->suspect, .lately = c->lately, .spares = c->spares, .now = NOW };
		struct failover_node nodes[4];
		uint64_t again;

		memcpy(nodes, c->nodes, sizeof(nodes));
		failover_plan(c->policy, &f, nodes, c->n, &again);
		for (size_t k = 0; k < c->n; k++)
			if (nodes[k].next != c->next[k])
				fail_msg("%s: node %zu: %s, not %s", c->what, k, failover_step_name(nodes[k].next), failover_step_name(c->next[k]));
		if (again != c->again)
			fail_msg("%s: again at %llu", c->what, (unsigned long long)again);
	}
}

/* What must hold of any answer. */
static void check_world(const struct failover_policy *p, const struct failover_facts *f, const struct failover_node *nodes, size_t n)
{
	unsigned begun = 0, together = 0, counted = 0;

	for (size_t i = 0; i < n; i++) {
		const struct failover_node *o = &nodes[i];
		bool under_way = failover_step_begun(o->step) && !o->gone;

		assert_in_range(o->next, FAILOVER_NONE, FAILOVER_BOOT);
		if (under_way) {
			assert_int_equal(o->next, o->step);
			continue;
		}
		assert_true(o->next <= FAILOVER_SPARE || o->next == FAILOVER_FENCE);
		begun += o->next == FAILOVER_FENCE;
		counted += o->next == FAILOVER_FENCE && !o->ordered;
		if (o->next != FAILOVER_FENCE)
			continue;
		if (!o->ordered) {
			assert_int_equal(p->mode, SSI_FAILOVER_AUTO);
			assert_false(p->link_down);
			assert_true(o->gone || (o->state != SSI_NODE_JOINED && o->state != SSI_NODE_BOOTING && o->hold != SSI_HOLD_OUT));
			assert_true(f->now >= o->detached + p->delay_ms || o->step == FAILOVER_SPARE || o->gone);
			assert_true(o->step != FAILOVER_NETWORK && o->step != FAILOVER_LIMIT);
		}
	}
	assert_true(begun <= f->spares);
	assert_true(counted == 0 || f->lately + counted <= p->limit);
	/* All gone at once, and none of them known before: nobody is fenced. */
	for (size_t i = 0; i < n; i++)
		together += nodes[i].step == FAILOVER_NONE && nodes[i].state == SSI_NODE_DETACHED && nodes[i].hold == SSI_HOLD_NONE && !nodes[i].ordered &&
			    !nodes[i].gone && nodes[i].detached == nodes[0].detached;
	if (n > 1 && together == n && !f->joined && !f->suspect && p->share < 100)
		assert_int_equal(begun, 0);
}

/* Each of three nodes in each state and step, by hand or not, at two times; each policy; few and many others, spares, failovers before. */
static void whole_world(void **state)
{
	static const struct failover_policy *const policies[] = { &automatic, &asks, &off, &patient, &bold, &unplugged };
	static const enum ssi_nodestate states[] = { SSI_NODE_OFF, SSI_NODE_BOOTING, SSI_NODE_JOINED, SSI_NODE_DETACHED, SSI_NODE_FAILED, SSI_NODE_FENCING };
	static const enum failover_step steps[] = { FAILOVER_NONE, FAILOVER_ASK, FAILOVER_NETWORK, FAILOVER_LIMIT, FAILOVER_SPARE, FAILOVER_FENCE, FAILOVER_BOOT };
	struct failover_node kinds[6 * 7 * 2 * 2 * 2];
	size_t n_kinds = 0, worlds = 0;

	for (size_t s = 0; s < 6; s++)
		for (size_t t = 0; t < 7; t++)
			for (int bits = 0; bits < 8; bits++)
				if (!(bits & 2) || failover_step_begun(steps[t]))
					kinds[n_kinds++] = (struct failover_node) { .state = states[s], .step = steps[t], .ordered = bits & 1, .gone = bits & 2,
						.hold = bits & 4 ? SSI_HOLD_OUT : SSI_HOLD_NONE };
	for (size_t p = 0; p < 6; p++)
		for (unsigned facts = 0; facts < 24; facts++)
			for (size_t a = 0; a < n_kinds; a++)
				for (size_t b = 0; b < n_kinds; b += facts % 3 + 1) {
					const struct failover_facts f = { .joined = facts & 1 ? 6 : 0, .suspect = facts & 2 ? 2 : 0, .lately = facts & 4 ? 2 : 0,
						.spares = facts / 8, .now = NOW };
					struct failover_node nodes[3] = { kinds[a], kinds[b], kinds[(a + b) % n_kinds] };
					uint64_t again;

					nodes[0].detached = nodes[1].detached = NOW - S(31);
					nodes[2].detached = facts & 1 ? NOW : NOW - S(31);
					failover_plan(policies[p], &f, nodes, 3, &again);
					check_world(policies[p], &f, nodes, 3);
					worlds++;
				}
	print_message("%zu worlds\n", worlds);
}

/* The switch of a rack dies: nodes are found detached one after the other, within a heartbeat. Whoever is asked at whatever moment, none is fenced. */
static void a_rack_vanishes(void **state)
{
	struct failover_node nodes[100] = { 0 };
	uint64_t again;

	for (unsigned k = 1; k <= 100; k++) {
		const struct failover_facts f = { .joined = 60, .suspect = 100 - k, .spares = 9, .now = NOW + 5 * k };

		nodes[k - 1] = (struct failover_node)NODE(NOW + 5 * k);
		failover_plan(&automatic, &f, nodes, k, &again);
		for (unsigned i = 0; i < k; i++) {
			assert_int_equal(nodes[i].next, k <= 80 ? FAILOVER_LOOK : FAILOVER_NETWORK);
			nodes[i].step = nodes[i].next == FAILOVER_NETWORK ? FAILOVER_NETWORK : FAILOVER_NONE;
		}
	}
}

/* Ten thousand at once cost no more than each a little. */
static void many(void **state)
{
	static struct failover_node nodes[10000];
	const struct failover_facts f = { .joined = 50000, .spares = 2, .lately = 1, .now = NOW + S(100) };
	unsigned begun = 0;
	uint64_t again;

	for (size_t i = 0; i < 10000; i++)
		nodes[i] = (struct failover_node)NODE(NOW + i);
	failover_plan(&automatic, &f, nodes, 10000, &again);
	for (size_t i = 0; i < 10000; i++)
		begun += nodes[i].next == FAILOVER_FENCE;
	assert_int_equal(begun, 2);
}

static void names(void **state)
{
	for (int s = 0; s < FAILOVER_STEPS; s++)
		assert_int_equal(failover_step_parse(failover_step_name(s)), s);
	assert_true(failover_step_parse("") < 0);
	for (int p = 0; p < CRASH_POINTS; p++)
		assert_int_equal(crash_set(crash_name(p)), 0);
	assert_int_equal(crash_set("nowhere"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told), cmocka_unit_test(whole_world), cmocka_unit_test(a_rack_vanishes), cmocka_unit_test(many), cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
