/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/model/mac and libssi/model/nodelist: how machines and nodes are written. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "libssi/base/buf.h"
#include "libssi/model/mac.h"
#include "libssi/model/nodelist.h"

static void macs(void **state)
{
	static const char *const bad[] = {
		"", "52", "52:54:00:12:34", "52:54:00:12:34:5", "52:54:00:12:34:56:", "52:54:00:12:34:5g", "52-54:00:12:34:56",
		"525400123456", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "5b:54:00:12:34:56", " 2:54:00:12:34:56",
		"01-52-54-00-12-34-56",
	};
	char mac[SSI_MAC_LEN] = "kept";

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(ssi_mac_parse(bad[i], mac), -EINVAL);
	assert_string_equal(mac, "kept");
	assert_int_equal(ssi_mac_parse("52:54:00:AB:cd:0f", mac), 0);
	assert_string_equal(mac, "52:54:00:ab:cd:0f");
	assert_int_equal(ssi_mac_parse("52-54-00-AB-cd-0F", mac), 0);
	assert_string_equal(mac, "52:54:00:ab:cd:0f");
}

/* text gives the names in want (blank between), and they are written as back. */
static void list(const char *text, const char *want, const char *back)
{
	_cleanup_nodelist_ struct ssi_nodelist *l = NULL;
	_cleanup_buf_ struct ssi_buf got = SSI_BUF_INIT;
	_cleanup_free_ char *s = NULL;
	struct ssi_err e = { 0 };

	if (ssi_nodelist_parse(text, &l, &e) < 0)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < l->n; i++)
		ssi_buf_addf(&got, "%s%s", i ? " " : "", l->names[i]);
	assert_string_equal(got.data, want);
	s = ssi_nodelist_format(l->names, l->n);
	assert_string_equal(s, back);
}

static void good_lists(void **state)
{
	list("n1", "n1", "n1");
	list("login", "login", "login");
	list("n[01-03,7],login,gpu[1-2]", "n01 n02 n03 n7 login gpu1 gpu2", "gpu[1-2],login,n[01-03,7]");
	list("n[9-11]", "n9 n10 n11", "n[9-11]");
	list("n[098-101]", "n098 n099 n100 n101", "n[098-101]");
	list("n2,n1,n2", "n2 n1", "n[1-2]");
	list("r[1-2]n[1-2]", "r1n1 r1n2 r2n1 r2n2", "r1n[1-2],r2n[1-2]");
	list("n[1-2]-ib", "n1-ib n2-ib", "n1-ib,n2-ib");
	list("n1, n2", "n1 n2", "n[1-2]");
	list("n[5]", "n5", "n5");
	list("n1,n01,n001", "n1 n01 n001", "n[001,01,1]");
	list("n10,n[1-3],n5", "n10 n1 n2 n3 n5", "n[1-3,5,10]");
	list("n[0-2]", "n0 n1 n2", "n[0-2]");
	list("1,2", "1 2", "[1-2]");
}

static void bad_list(const char *text, int code, const char *part)
{
	struct ssi_nodelist *l = NULL;
	struct ssi_err e = { 0 };

	assert_int_equal(ssi_nodelist_parse(text, &l, &e), code);
	assert_null(l);
	if (!strstr(e.text, part))
		fail_msg("'%s' is not in '%s'", part, e.text);
}

static void bad_lists(void **state)
{
	bad_list("", -EINVAL, "a name is missing");
	bad_list("a,,b", -EINVAL, "a name is missing at ',b' (byte 3)");
	bad_list("a,", -EINVAL, "a name is missing");
	bad_list("n[1-", -EINVAL, "'[' without ']'");
	bad_list("n1]", -EINVAL, "not a name");
	bad_list("n[]", -EINVAL, "a number is missing or too long at ']'");
	bad_list("n[a]", -EINVAL, "a number is missing");
	bad_list("n[1-b]", -EINVAL, "a number is missing or too long at 'b]'");
	bad_list("n[3-1]", -EINVAL, "runs backwards at '3-1]' (byte 3)");
	bad_list("n[1-03]", -EINVAL, "padded alike");
	bad_list("n[1;2]", -EINVAL, "neither ',' nor ']'");
	bad_list("n[1,]", -EINVAL, "a number is missing");
	bad_list("n[1-9999999999]", -EINVAL, "too long");
	bad_list("n/1", -EINVAL, "not a name");
	bad_list("..", -EINVAL, "not a name");
	bad_list("n[1-65537]", -E2BIG, "more than 65536 names");
	bad_list("n[1-999999999]", -E2BIG, "more than 65536 names");
	bad_list("n[1,1,1,1,1,1,1,1][1-99][1-99]", -E2BIG, "more than");
	bad_list("n[1][1][1][1][1]", -EINVAL, "too many brackets");
	bad_list("a123456789b123456789c123456789d123456789e123456789f123456789[0001-0002]", -EINVAL, "more than 63 bytes");
	bad_list("a123456789b123456789c123456789d123456789e123456789f123456789abcd", -EINVAL, "more than 63 bytes");
}

static void largest_list(void **state)
{
	_cleanup_nodelist_ struct ssi_nodelist *l = NULL;
	_cleanup_free_ char *s = NULL;

	assert_int_equal(ssi_nodelist_parse("n[00001-65536]", &l, NULL), 0);
	assert_int_equal(l->n, SSI_NODELIST_MAX);
	s = ssi_nodelist_format(l->names, l->n);
	assert_string_equal(s, "n[00001-65536]");
	free(s);
	s = ssi_nodelist_format(NULL, 0);
	assert_string_equal(s, "");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(macs),
		cmocka_unit_test(good_lists),
		cmocka_unit_test(bad_lists),
		cmocka_unit_test(largest_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
