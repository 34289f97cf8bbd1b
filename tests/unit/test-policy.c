/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Policies: what is a mistake in a file, and which node is chosen; those that are shipped, too. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "libssi/base/file.h"
#include "libssi/model/policy.h"

#define GIB (1ull << 30)

static struct ssi_policy *parse(const char *text)
{
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	struct ssi_policy *p = NULL;

	if (ssi_policy_parse("f", text, strlen(text), &p, &errors) < 0)
		fail_msg("%s", errors.data);
	return p;
}

static void mistake(const char *text, const char *says)
{
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	struct ssi_policy *p = NULL;

	assert_int_equal(ssi_policy_parse("f", text, strlen(text), &p, &errors), -EINVAL);
	assert_null(p);
	if (!strstr(errors.data, says))
		fail_msg("'%s' was expected, and it is: %s", says, errors.data);
}

static void mistakes(void **state)
{
	mistake("", "f: no 'choose' in [policy]");
	mistake("[policy]\nchoose = best\n", "f:2:");
	mistake("[policy]\nchoose = lowest\n", "nothing is in [weight]");
	mistake("[policy]\nchoose = round-robin\n[weight]\nload = 1\n", "nothing in [weight] counts");
	mistake("[policy]\nchoose = lowest\n[weight]\nload = -1\n", "f:4:");
	mistake("[policy]\nchoose = lowest\n[weight]\nload = 1e3\n", "f:4:");
	mistake("[policy]\nchoose = lowest\n[weight]\nload = nan\n", "f:4:");
	mistake("[policy]\nchoose = lowest\n[weight]\nload = 9999999\n", "f:4:");
	mistake("[policy]\nchoose = lowest\n[weight]\nluck = 1\n", "luck");
	mistake("[policy]\nchoose = local\n[filter]\nnodes = n[01-\n", "f:4:");
	mistake("[policy]\nchoose = local\n[filter]\nmin_memory = much\n", "f:4:");
}

static struct ssi_policy_node node(uint32_t number, const char *name, double load, double memory)
{
	struct ssi_policy_node n = { .name = name, .number = number, .cpus = 4, .available = (uint64_t)((1 - memory) * 8 * GIB) };

	n.metric[SSI_METRIC_LOAD] = load;
	n.metric[SSI_METRIC_MEMORY] = memory;
	return n;
}

static const char *choose(const struct ssi_policy *p, const struct ssi_policy_node *nodes, size_t n, const struct ssi_policy_want *w)
{
	struct ssi_err e;
	size_t i;

	return ssi_policy_choose(p, nodes, n, w, &i, &e) == 0 ? nodes[i].name : "";
}

static void lowest_and_highest(void **state)
{
	_cleanup_policy_ struct ssi_policy *low = parse("[policy]\nchoose = lowest\n[weight]\nload = 1\nmemory = 0.5\n");
	_cleanup_policy_ struct ssi_policy *high = parse("[policy]\nchoose = highest\n[filter]\nload = 0.9\n[weight]\nload = 1\n");
	struct ssi_policy_node nodes[] = { node(1, "n01", 0.5, 0.5), node(2, "n02", 0.25, 0.75), node(3, "n03", 0.25, 0.5), node(4, "n04", 1, 0.1) };
	struct ssi_policy_want w = { .count = 1 };

	assert_string_equal(choose(low, nodes, 4, &w), "n03");
	assert_string_equal(choose(high, nodes, 4, &w), "n01");     /* n04 is over the filter */
	nodes[2].objection = "it is drained";
	assert_string_equal(choose(low, nodes, 4, &w), "n02");
	nodes[1].metric[SSI_METRIC_LOAD] = nodes[0].metric[SSI_METRIC_LOAD] = 0.3;
	nodes[1].metric[SSI_METRIC_MEMORY] = 0.5;
	assert_string_equal(choose(low, nodes, 4, &w), "n01");      /* of equal ones the first */
}

static void several_and_why_not(void **state)
{
	_cleanup_policy_ struct ssi_policy *p = parse("[policy]\nchoose = lowest\n[filter]\nnodes = n[01-03]\nmin_memory = 1G\n[weight]\nload = 1\n");
	struct ssi_policy_node nodes[] = { node(1, "n01", 0.5, 0.5), node(2, "n02", 0.25, 0.99), node(3, "n03", 0.2, 0.5), node(4, "n04", 0, 0) };
	struct ssi_policy_want w = { .count = 2 };
	struct ssi_err e;
	size_t got[4];

	assert_int_equal(ssi_policy_choose(p, nodes, 4, &w, got, &e), 0);
	assert_int_equal(got[0], 2);
	assert_int_equal(got[1], 0);
	w.count = 3;
	assert_int_equal(ssi_policy_choose(p, nodes, 4, &w, got, &e), -ENOSPC);
	assert_non_null(strstr(e.text, "only 2 of 3"));
	assert_non_null(strstr(e.text, "n02: 81.9 MiB of memory are available"));
	assert_non_null(strstr(e.text, "n04: the policy does not name it"));
	w = (struct ssi_policy_want) { .count = 1, .cpus = 8 };
	assert_int_equal(ssi_policy_choose(p, nodes, 4, &w, got, &e), -ENOSPC);
	assert_non_null(strstr(e.text, "n01: it has 4 of the 8 processors"));
	w = (struct ssi_policy_want) { .count = 1, .memory = 6 * GIB };
	assert_int_equal(ssi_policy_choose(p, nodes, 4, &w, got, &e), -ENOSPC);
	assert_int_equal(ssi_policy_choose(p, nodes, 0, &w, got, &e), -ENOSPC);
}

static void each_in_its_turn(void **state)
{
	_cleanup_policy_ struct ssi_policy *p = parse("[policy]\nchoose = round-robin\n");
	struct ssi_policy_node nodes[] = { node(7, "n07", 9, 0), node(2, "n02", 0, 0), node(5, "n05", 0, 0) };
	struct ssi_policy_want w = { .count = 1 };

	assert_string_equal(choose(p, nodes, 3, &w), "n02");
	w.after = 2;
	assert_string_equal(choose(p, nodes, 3, &w), "n05");
	w.after = 7;
	assert_string_equal(choose(p, nodes, 3, &w), "n02");
	nodes[1].objection = "it is drained";
	assert_string_equal(choose(p, nodes, 3, &w), "n05");
}

static void same_as(void **state)
{
	_cleanup_policy_ struct ssi_policy *p = parse("[policy]\nchoose = same-as\n");
	struct ssi_policy_node nodes[] = { node(1, "n01", 0, 0), node(2, "n02", 0, 0) };
	struct ssi_policy_want w = { .count = 1, .same_as = "n02" };

	assert_string_equal(choose(p, nodes, 2, &w), "n02");
	w.same_as = NULL;
	assert_string_equal(choose(p, nodes, 2, &w), "");
}

static void when_all_are_full(void **state)
{
	_cleanup_policy_ struct ssi_policy *p = parse("[policy]\nchoose = highest\nfull = lowest\n[filter]\nload = 1\n[weight]\nload = 1\n");
	struct ssi_policy_node nodes[] = { node(1, "n01", 3, 0), node(2, "n02", 2, 0) };
	struct ssi_policy_want w = { .count = 1 };

	assert_string_equal(choose(p, nodes, 2, &w), "n02");
	nodes[1].objection = "it is drained";
	assert_string_equal(choose(p, nodes, 2, &w), "n01");
	w.cpus = 8;
	assert_string_equal(choose(p, nodes, 2, &w), "");
}

static void those_that_are_shipped(void **state)
{
	static const char *const names[] = { "least-loaded", "memory", "round-robin", "pack", "same-as", "local" };
	const char *top = getenv("srcdir") ?: ".";

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_policy_ struct ssi_policy *p = NULL;
		_cleanup_free_ char *text = NULL;
		char path[512];

		snprintf(path, sizeof(path), "%s/policy.d/%s.ini", top, names[i]);
		assert_int_equal(ssi_file_read(path, 65536, &text, NULL), 0);
		p = parse(text);
		assert_string_not_equal(p->help, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes),
		cmocka_unit_test(lowest_and_highest),
		cmocka_unit_test(several_and_why_not),
		cmocka_unit_test(each_in_its_turn),
		cmocka_unit_test(same_as),
		cmocka_unit_test(when_all_are_full),
		cmocka_unit_test(those_that_are_shipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
