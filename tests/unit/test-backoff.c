/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When nodes come back: at once, then ever more seldom; and as a crowd, spread over as long as their master needs for them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "ssi/membership/backoff.h"

static void alone_it_doubles(void **state)
{
	struct ssi_backoff b = { 0 };
	unsigned ms = ssi_backoff_next(&b, -ECONNRESET, 10000);

	assert_in_range(ms, 10, 20);     /* a connection that broke: at once, however many there are */
	for (unsigned limit = 100; limit <= 1600; limit *= 2)
		assert_in_range(ssi_backoff_next(&b, -ETIMEDOUT, 10000), limit / 2, limit);
	for (int i = 0; i < 10; i++)
		assert_in_range(ssi_backoff_next(&b, -ETIMEDOUT, 10000), 1000, 2000);
	ssi_backoff_reset(&b);
	assert_in_range(ssi_backoff_next(&b, -ETIMEDOUT, 1), 10, 20);
}

/* Ten thousand who find nobody listening: in no tenth of their five seconds comes more than two tenths of them. */
static void a_crowd_spreads(void **state)
{
	unsigned tenths[10] = { 0 };

	for (int i = 0; i < 10000; i++) {
		struct ssi_backoff b = { 0 };
		unsigned ms;

		ssi_backoff_next(&b, -ECONNRESET, 10000);
		ms = ssi_backoff_next(&b, -ECONNREFUSED, 10000);
		assert_in_range(ms, 50, 5000);
		tenths[ms == 5000 ? 9 : ms / 500]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(tenths[i], 500, 2000);
}

static void a_few_do_not_wait_for_more(void **state)
{
	struct ssi_backoff b = { 0 };

	ssi_backoff_next(&b, -ECONNRESET, 8);
	assert_in_range(ssi_backoff_next(&b, -ECONNREFUSED, 8), 50, 100);
	assert_in_range(ssi_backoff_next(&b, -ECONNREFUSED, 8), 100, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alone_it_doubles),
		cmocka_unit_test(a_crowd_spreads),
		cmocka_unit_test(a_few_do_not_wait_for_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
