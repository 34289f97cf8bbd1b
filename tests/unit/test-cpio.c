/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Archives made reproducible (mkimage/cpio.h): links, what one has that another has not, what is malformed, a full disk. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "libssi/base/buf.h"
#include "libssi/base/cleanup.h"
#include "mkimage/cpio.h"

static void cpio_linked(struct ssi_buf *b, const char *name, unsigned mode, unsigned ino, unsigned nlink, unsigned mtime, const char *data)
{
	ssi_buf_addf(b, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", ino, mode, 1000, 1000, nlink, mtime, strlen(data), 8, 1, 0, 0,
		     strlen(name) + 1, 0);
	ssi_buf_add(b, name, strlen(name) + 1);
	while (b->len % 4)
		ssi_buf_add(b, "", 1);
	ssi_buf_adds(b, data);
	while (b->len % 4)
		ssi_buf_add(b, "", 1);
}

static void cpio_entry(struct ssi_buf *b, const char *name, unsigned mode, unsigned ino, unsigned mtime, const char *data)
{
	cpio_linked(b, name, mode, ino, 1, mtime, data);
}

static int normalised(const struct ssi_buf *in, char **ret, size_t *ret_len, struct ssi_err *e)
{
	static const char *const drop[] = { "var", "var/*" };
	FILE *f = open_memstream(ret, ret_len);
	int r = cpio_normalise(in->data, in->len, 77, drop, 2, f, e);

	fclose(f);
	return r;
}

static void test_cpio(void **state)
{
	_cleanup_buf_ struct ssi_buf a = SSI_BUF_INIT, b = SSI_BUF_INIT;
	_cleanup_free_ char *x = NULL, *y = NULL;
	size_t x_len, y_len;

	cpio_entry(&a, "init", 0100755, 12, 1000, "hello");
	cpio_entry(&a, "var", 040755, 13, 1000, "");
	cpio_entry(&a, "var/log", 0100644, 14, 1000, "now");
	cpio_entry(&a, "z", 0100644, 15, 1000, "z");
	cpio_entry(&a, "TRAILER!!!", 0, 0, 0, "");
	cpio_entry(&b, "init", 0100755, 912, 2000, "hello");
	cpio_entry(&b, "z", 0100644, 5, 3000, "z");
	cpio_entry(&b, "TRAILER!!!", 0, 0, 0, "");
	assert_int_equal(normalised(&a, &x, &x_len, NULL), 0);
	assert_int_equal(normalised(&b, &y, &y_len, NULL), 0);
	assert_int_equal(x_len, y_len);
	assert_memory_equal(x, y, x_len);
	assert_null(memmem(x, x_len, "var", 3));
}

/* Names of one inode stay names of one inode, and nobody else gets its number. */
static void test_cpio_links(void **state)
{
	_cleanup_buf_ struct ssi_buf a = SSI_BUF_INIT, want = SSI_BUF_INIT;
	_cleanup_free_ char *x = NULL;
	size_t len;

	cpio_linked(&a, "a", 0100755, 500, 2, 1000, "");
	cpio_entry(&a, "other", 0100644, 7, 1000, "o");
	cpio_linked(&a, "b", 0100755, 500, 2, 1000, "hello");
	cpio_entry(&a, "TRAILER!!!", 0, 0, 0, "");
	assert_int_equal(normalised(&a, &x, &len, NULL), 0);
	ssi_buf_addf(&want, "070701%08x%08x%08x%08x%08x%08x", 1, 0100755, 0, 0, 2, 77);
	assert_memory_equal(x, want.data, want.len);
	assert_non_null(memmem(x, len, "07070100000002", 14));
	assert_non_null(memmem(x + 1, len - 1, want.data, want.len));
	assert_null(memmem(x, len, "07070100000003", 14));
}

/* What the second has and the first has not, or otherwise; folders; a file for each name. */
static void test_cpio_difference(void **state)
{
	_cleanup_buf_ struct ssi_buf a = SSI_BUF_INIT, b = SSI_BUF_INIT, want = SSI_BUF_INIT;
	_cleanup_free_ char *x = NULL, *y = NULL;
	size_t len, y_len;
	FILE *f = open_memstream(&x, &len);
	struct ssi_err e;

	cpio_entry(&a, "lib", 040755, 1, 0, "");
	cpio_entry(&a, "lib/crypto", 0100644, 2, 0, "stand-in");
	cpio_entry(&a, "same", 0100644, 3, 0, "same");
	cpio_linked(&a, "x", 0100755, 4, 2, 0, "");
	cpio_linked(&a, "y", 0100755, 4, 2, 0, "linked");
	cpio_entry(&a, "TRAILER!!!", 0, 0, 0, "");
	cpio_entry(&b, "lib", 040755, 1, 0, "");
	cpio_entry(&b, "lib/crypto", 0100644, 2, 0, "the real");
	cpio_entry(&b, "same", 0100644, 3, 0, "same");
	cpio_linked(&b, "w", 0100755, 4, 3, 0, "");
	cpio_linked(&b, "x", 0100755, 4, 3, 0, "");
	cpio_linked(&b, "y", 0100755, 4, 3, 0, "linked");
	cpio_entry(&b, "TRAILER!!!", 0, 0, 0, "");
	assert_int_equal(cpio_difference(a.data, a.len, b.data, b.len, f, &e), 0);
	fclose(f);
	ssi_buf_addf(&want, "070701%08x%08x", 1, 040755);
	assert_memory_equal(x, want.data, want.len);
	assert_non_null(memmem(x, len, "the real", 8));
	assert_null(memmem(x, len, "same", 4));
	assert_non_null(memmem(x, len, "w\0", 2));
	assert_non_null(memmem(x, len, "linked", 6));
	/* It is an archive itself; and there is no difference between two that are one. */
	f = open_memstream(&y, &y_len);
	assert_int_equal(cpio_difference(x, len, x, len, f, &e), 0);
	fclose(f);
	assert_null(memmem(y, y_len, "linked", 6));
	free(y);
	f = open_memstream(&y, &y_len);
	assert_int_equal(cpio_difference(x, len, x, len - 1, f, &e), -EBADMSG);
	fclose(f);
}

static void test_cpio_malformed(void **state)
{
	_cleanup_buf_ struct ssi_buf a = SSI_BUF_INIT;
	struct ssi_err e;

	cpio_entry(&a, "init", 0100755, 12, 1000, "hello");
	cpio_entry(&a, "TRAILER!!!", 0, 0, 0, "");
	/* Cut anywhere, it is refused and not read past its end. */
	for (size_t n = 0; n + 4 < a.len; n++) {
		_cleanup_free_ char *cut = malloc(n + 1), *out = NULL;
		struct ssi_buf part = { .data = cut, .len = n };
		size_t len;

		memcpy(cut, a.data, n);
		assert_int_equal(normalised(&part, &out, &len, &e), -EBADMSG);
	}
	memcpy(a.data + 6 + 8 * 6, "ffffffff", 8);      /* a file of 4 GiB */
	{
		_cleanup_free_ char *out = NULL;
		size_t len;

		assert_int_equal(normalised(&a, &out, &len, &e), -EBADMSG);
	}
}

/* A full disk is told as that, whether it shows while much is written or at the end. */
static void test_cpio_disk_full(void **state)
{
	static char much[100000];
	_cleanup_buf_ struct ssi_buf a = SSI_BUF_INIT;
	struct ssi_err e = { 0 };

	memset(much, 'x', sizeof(much) - 1);
	for (int i = 0; i < 2; i++) {
		_cleanup_fclose_ FILE *full = fopen("/dev/full", "we");

		ssi_buf_consume(&a, a.len);
		cpio_entry(&a, "init", 0100755, 12, 1000, i ? much : "hello");
		cpio_entry(&a, "TRAILER!!!", 0, 0, 0, "");
		assert_int_equal(cpio_normalise(a.data, a.len, 77, NULL, 0, full, &e), -ENOSPC);
		assert_int_equal(e.code, -ENOSPC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpio), cmocka_unit_test(test_cpio_malformed), cmocka_unit_test(test_cpio_difference), cmocka_unit_test(test_cpio_links),
		cmocka_unit_test(test_cpio_disk_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
