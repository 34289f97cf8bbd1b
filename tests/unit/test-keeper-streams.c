/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The streams of a job by themselves: windows, acknowledgements, what comes twice or too early, and the ring past its end. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "libssi/base/fd.h"
#include "libssi/comm/jobframe.h"
#include "ssi-keeper/streams.h"

static void pipe_of(int *ret_read, int *ret_write)
{
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	*ret_read = p[0];
	*ret_write = p[1];
}

/* Bytes by their offset, so that a wrong one is seen. */
static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 2654435761u >> 13);
}

static void fill(int fd, uint64_t *at, size_t n)
{
	uint8_t buf[4096];

	for (size_t i = 0; i < n; i++)
		buf[i] = byte_at(*at + i);
	assert_int_equal(ssi_fd_write_all(fd, buf, n), 0);
	*at += n;
}

/* 8 MB through a ring of 2, sent again from somewhere within the window each time. */
static void test_ring(void **state)
{
	struct outlet o = { .fd = -1 };
	uint64_t wrote = 0, have = 0, offset;
	struct iovec v[2];
	int from, to;
	bool end;

	pipe_of(&from, &to);
	outlet_open(&o, 1, from);
	while (have < 8000000) {
		size_t n;

		fill(to, &wrote, 3001);
		assert_true(outlet_read(&o, false) > 0);
		outlet_rewind(&o, have);
		while ((n = outlet_next(&o, 1000, v, &offset, &end)) > 0) {
			assert_int_equal(offset, have);
			assert_int_equal(v[0].iov_len + v[1].iov_len, n);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(i < v[0].iov_len ? ((uint8_t *)v[0].iov_base)[i] : ((uint8_t *)v[1].iov_base)[i - v[0].iov_len], byte_at(offset + i));
			have += n;
		}
		outlet_ack(&o, have - (have > 500 ? 500 : 0));
		assert_false(end);
	}
	close(to);
	assert_false(outlet_only_end(&o));
	assert_int_equal(outlet_read(&o, false), 0);
	assert_true(outlet_only_end(&o));
	outlet_next(&o, 1000, v, &offset, &end);
	assert_true(end && outlet_said(&o));
	outlet_close(&o);
}

static void test_window(void **state)
{
	struct outlet o = { .fd = -1 };
	uint64_t wrote = 0, offset;
	struct iovec v[2];
	int from, to;
	bool end;

	pipe_of(&from, &to);
	outlet_open(&o, 1, from);
	while (outlet_room(&o, false)) {
		fill(to, &wrote, 4096);
		assert_true(outlet_read(&o, false) > 0);
	}
	assert_int_equal(o.produced, SSI_JOB_WINDOW_BYTES);
	assert_true(outlet_room(&o, true));
	outlet_ack(&o, 10);                      /* not sent yet: nonsense */
	assert_false(outlet_room(&o, false));
	outlet_next(&o, 4096, v, &offset, &end);
	outlet_ack(&o, 4096);
	outlet_ack(&o, 100);
	outlet_ack(&o, UINT64_MAX);
	assert_int_equal(o.acked, 4096);
	assert_true(outlet_room(&o, false));
	outlet_rewind(&o, UINT64_MAX);           /* nobody wants it */
	assert_int_equal(outlet_next(&o, 4096, v, &offset, &end), 0);
	fill(to, &wrote, 4096);
	assert_true(outlet_read(&o, false) > 0);
	assert_int_equal(o.acked, wrote);
	close(to);
	outlet_close(&o);
}

static void test_inlet(void **state)
{
	struct inlet i = { .stream = 0, .fd = -1 };
	static uint8_t large[SSI_JOB_WINDOW_BYTES];
	char got[64];
	int from, to;

	inlet_take(&i, 0, "ab", 2, false);       /* before there is somebody to read */
	inlet_take(&i, 3, "x", 1, false);
	inlet_take(&i, 1, "bcd", 3, false);
	assert_int_equal(i.got, 4);
	assert_int_equal(i.written, 0);
	assert_false(inlet_untold(&i));
	inlet_take(&i, 4, large, sizeof(large), false);   /* beyond the window */
	assert_int_equal(i.got, 4);
	pipe_of(&from, &to);
	inlet_open(&i, 0, to);
	assert_int_equal(read(from, got, sizeof(got)), 4);
	assert_memory_equal(got, "abcd", 4);
	assert_true(inlet_untold(&i));
	inlet_take(&i, 0, "abcd", 3, true);      /* an end that is not */
	assert_false(i.end);
	inlet_take(&i, 4, "", 0, true);
	assert_int_equal(read(from, got, sizeof(got)), 0);
	close(from);
	inlet_close(&i);
}

/* Who was to read has gone: all is dealt with. */
static void test_nobody_reads(void **state)
{
	struct inlet i = { .stream = 0, .fd = -1 };
	int from, to;

	pipe_of(&from, &to);
	inlet_open(&i, 0, to);
	close(from);
	inlet_take(&i, 0, "abcd", 4, false);
	assert_int_equal(i.written, 4);
	inlet_take(&i, 4, "efgh", 4, true);
	assert_int_equal(i.written, 8);
	inlet_close(&i);
}

static int ignore_sigpipe(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring), cmocka_unit_test(test_window), cmocka_unit_test(test_inlet), cmocka_unit_test(test_nobody_reads),
	};

	return cmocka_run_group_tests(tests, ignore_sigpipe, NULL);
}
