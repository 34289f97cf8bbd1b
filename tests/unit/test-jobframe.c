/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames of jobs over a socket: what is sent comes in whole and in order, however full the socket; what is no frame is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "libssi/comm/jobframe.h"

static void ends(struct ssi_jobhop *a, struct ssi_jobhop *b)
{
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	ssi_jobhop_init(a, s[0]);
	ssi_jobhop_init(b, s[1]);
}

static void test_header(void **state)
{
	const struct ssi_jobframe f = { .size = 0x10203, .type = 7, .job = 0x0102030405060708 };
	const uint8_t want[SSI_JOBFRAME_HEAD] = { 3, 2, 1, 0, 7, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1 };
	uint8_t p[SSI_JOBFRAME_HEAD];
	struct ssi_jobframe g;

	ssi_jobframe_encode(&f, p);
	assert_memory_equal(p, want, sizeof(p));
	assert_int_equal(ssi_jobframe_decode(p, &g), 0);
	assert_true(g.size == f.size && g.type == f.type && g.job == f.job);
	p[6] = 1;
	assert_int_equal(ssi_jobframe_decode(p, &g), -EBADMSG);
	p[6] = p[4] = 0;
	assert_int_equal(ssi_jobframe_decode(p, &g), -EBADMSG);
	p[4] = 1;
	p[2] = 3;
	assert_int_equal(ssi_jobframe_decode(p, &g), -EMSGSIZE);
}

/* What comes next at b; a goes on with what waits there. */
static struct ssi_jobframe next(struct ssi_jobhop *a, struct ssi_jobhop *b, const uint8_t **ret)
{
	struct ssi_jobframe f;
	int r;

	while ((r = ssi_jobhop_next(b, &f, ret)) == 0) {
		assert_int_equal(ssi_jobhop_flush(a), 0);
		assert_true(ssi_jobhop_read(b) > 0);
	}
	assert_int_equal(r, 1);
	return f;
}

/* More than a socket holds: the rest waits, and goes on where it stopped. */
static void test_many(void **state)
{
	static uint8_t body[SSI_JOBFRAME_MAX];
	struct ssi_jobhop a, b;
	struct ssi_jobframe f;
	const uint8_t *p;

	ends(&a, &b);
	for (unsigned i = 0; i < 40; i++) {
		memset(body, (int)i, sizeof(body));
		assert_int_equal(ssi_jobhop_send(&a, 5, i, body, i % 3 ? i * 1000 : sizeof(body)), 0);
	}
	assert_true(ssi_jobhop_waits(&a));
	assert_true(ssi_jobhop_full(&a));
	for (unsigned n = 0; n < 40; n++) {
		f = next(&a, &b, &p);
		ssi_jobhop_again(&b, &f);
		assert_int_equal(ssi_jobhop_next(&b, &f, &p), 1);
		assert_int_equal(f.job, n);
		assert_int_equal(f.size, n % 3 ? n * 1000 : sizeof(body));
		assert_true(!f.size || (p[0] == n && p[f.size - 1] == n));
	}
	assert_false(ssi_jobhop_waits(&a));
	ssi_jobhop_close(&a);
	assert_int_equal(ssi_jobhop_read(&b), 0);
	assert_int_equal(ssi_jobhop_send(&b, 5, 1, "x", 1), -EPIPE);
	ssi_jobhop_close(&b);
	ssi_jobhop_close(&b);
}

/* What is corked goes with what is said in pieces, before it; and what waits because the socket is full stays before both. */
static void test_cork(void **state)
{
	static uint8_t body[SSI_JOBFRAME_MAX / 4];
	struct ssi_jobhop a, b;
	struct ssi_jobframe f;
	const uint8_t *p;

	ends(&a, &b);
	a.cork = true;
	assert_int_equal(ssi_jobhop_send(&a, 1, 0, "ab", 2), 0);
	assert_int_equal(ssi_jobhop_read(&b), -EAGAIN);
	assert_int_equal(ssi_jobhop_flush(&a), 0);
	assert_int_equal(ssi_jobhop_read(&b), SSI_JOBFRAME_HEAD + 2);
	assert_int_equal(ssi_jobhop_next(&b, &f, &p), 1);
	assert_int_equal(ssi_jobhop_next(&b, &f, &p), 0);
	for (unsigned i = 0; i < 300; i += 2) {
		const struct iovec v[] = { { body, i }, { NULL, 0 }, { body, sizeof(body) - i } };

		memset(body, (int)i, sizeof(body));
		assert_int_equal(ssi_jobhop_send(&a, 1, i, "ab", 2), 0);
		assert_int_equal(ssi_jobhop_sendv(&a, 2, i + 1, v, 3), 0);
	}
	assert_true(a.stuck);
	for (unsigned n = 0; n < 300; n++) {
		f = next(&a, &b, &p);
		assert_int_equal(f.job, n);
		assert_int_equal(f.size, n % 2 ? sizeof(body) : 2);
		assert_true(n % 2 ? p[0] == (uint8_t)(n - 1) && p[f.size - 1] == (uint8_t)(n - 1) : p[0] == 'a' && p[1] == 'b');
	}
	assert_false(a.stuck || ssi_jobhop_waits(&a));
	ssi_jobhop_close(&a);
	ssi_jobhop_close(&b);
}

static void test_refused(void **state)
{
	struct ssi_jobhop a, b;
	struct ssi_jobframe f;
	const uint8_t *p;

	ends(&a, &b);
	assert_int_equal(ssi_jobhop_send(&a, 5, 1, NULL, SSI_JOBFRAME_MAX + 1), -EMSGSIZE);
	assert_int_equal(ssi_jobhop_read(&b), -EAGAIN);
	assert_int_equal(send(a.fd, "no frame, certainly not", 23, 0), 23);
	assert_int_equal(ssi_jobhop_read(&b), 23);
	assert_true(ssi_jobhop_next(&b, &f, &p) < 0);
	ssi_jobhop_close(&a);
	ssi_jobhop_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_header), cmocka_unit_test(test_many), cmocka_unit_test(test_cork), cmocka_unit_test(test_refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
