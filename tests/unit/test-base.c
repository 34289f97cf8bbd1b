/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/base: texts, numbers, names, digests. What touches files and processes is in test-system.c. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "libssi/base/arena.h"
#include "libssi/base/base64.h"
#include "libssi/base/buf.h"
#include "libssi/base/clock.h"
#include "libssi/base/err.h"
#include "libssi/base/hash.h"
#include "libssi/base/limit.h"
#include "libssi/base/map.h"
#include "libssi/base/num.h"
#include "libssi/base/path.h"
#include "libssi/base/signals.h"
#include "libssi/base/suggest.h"
#include "libssi/base/tty.h"
#include "libssi/base/words.h"

static void errors(void **state)
{
	struct ssi_err e = { 0 };
	char longest[SSI_ERR_MAX * 2];

	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	errno = EDOM;
	assert_int_equal(ssi_errf(NULL, -ENOENT, "unused"), -ENOENT);
	assert_int_equal(ssi_errf(&e, -ENOENT, "%s:%u: no key", "f", 3u), -ENOENT);
	assert_int_equal(e.code, -ENOENT);
	assert_string_equal(e.text, "f:3: no key");
	assert_int_equal(ssi_err_prefix(&e, "reading %s", "x"), -ENOENT);
	assert_string_equal(e.text, "reading x: f:3: no key");
	assert_int_equal(ssi_err_prefix(NULL, "reading"), -EIO);
	assert_int_equal(ssi_errno(&e, -EACCES, "open %s", "x"), -EACCES);
	assert_string_equal(e.text, "open x: Permission denied");
	assert_int_equal(errno, EDOM);
	ssi_errno(&e, -EACCES, "%s", longest);
	assert_int_equal(strlen(e.text), SSI_ERR_MAX - 1);
	ssi_err_prefix(&e, "%s", longest);
	assert_int_equal(strlen(e.text), SSI_ERR_MAX - 1);
}

static void buffers(void **state)
{
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	char *s;

	for (int i = 0; i < 1000; i++)
		assert_int_equal(ssi_buf_addf(&b, "%03d ", i), 0);
	assert_int_equal(b.len, 4000);
	ssi_buf_consume(&b, 3996);
	assert_string_equal(b.data, "999 ");
	ssi_buf_consume(&b, 100);
	assert_string_equal(b.data, "");
	ssi_buf_add(&b, "a\0b", 3);
	assert_memory_equal(b.data, "a\0b", 4);
	s = ssi_buf_take(&b);
	assert_memory_equal(s, "a\0b", 4);
	free(s);
	assert_null(b.data);
	s = ssi_buf_take(&b);
	assert_string_equal(s, "");
	free(s);
	/* A failed append sticks. */
	assert_null(ssi_buf_reserve(&b, SIZE_MAX / 2));
	assert_int_equal(ssi_buf_adds(&b, "x"), -ENOMEM);
	assert_null(ssi_buf_take(&b));
	assert_int_equal(b.err, 0);
}

static void arenas(void **state)
{
	_cleanup_arena_ struct ssi_arena a = { 0 }, huge = { 0 };
	char **list = NULL;
	size_t n = 0;

	assert_non_null(ssi_arena_alloc(&a, 0));
	assert_null(ssi_arena_alloc(&huge, SIZE_MAX));
	assert_true(huge.failed);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(ssi_arena_push(&a, &list, &n, ssi_arena_printf(&a, "item %d", i)), 0);
	assert_int_equal(n, 10000);
	assert_string_equal(list[0], "item 0");
	assert_string_equal(list[9999], "item 9999");
	assert_non_null(ssi_arena_alloc(&a, 1 << 20));
	assert_int_equal((uintptr_t)ssi_arena_alloc(&a, 1) % _Alignof(max_align_t), 0);
	assert_null(ssi_arena_alloc(&a, SIZE_MAX - 64));
	assert_true(a.failed);
	assert_null(ssi_arena_strdup(&a, "x"));
}

static void maps(void **state)
{
	_cleanup_map_ struct ssi_map m = { 0 };
	static char keys[5000][8];

	assert_null(ssi_map_get(&m, "x"));
	for (int i = 0; i < 5000; i++) {
		snprintf(keys[i], sizeof(keys[i]), "n%d", i);
		assert_int_equal(ssi_map_put(&m, keys[i], keys[i]), 0);
	}
	assert_int_equal(ssi_map_put(&m, "n7", &m), -EEXIST);
	assert_int_equal(m.n, 5000);
	for (int i = 0; i < 5000; i++)
		assert_ptr_equal(ssi_map_get(&m, keys[i]), keys[i]);
	assert_null(ssi_map_get(&m, "n5000"));
}

static void numbers(void **state)
{
	static const char *const bad[] = { "", " 1", "1 ", "+1", "-1", "0x1", "1.5", "1e3", "one" };
	uint64_t u = 42;
	uint32_t v;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(ssi_num_u64(bad[i], 0, UINT64_MAX, &u), -EINVAL);
	assert_int_equal(ssi_num_u64("18446744073709551616", 0, UINT64_MAX, &u), -ERANGE);
	assert_int_equal(ssi_num_u64("99999999999999999999999", 0, UINT64_MAX, &u), -ERANGE);
	assert_int_equal(ssi_num_u64("6", 1, 5, &u), -ERANGE);
	assert_int_equal(u, 42);
	assert_int_equal(ssi_num_u64("18446744073709551615", 0, UINT64_MAX, &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(ssi_num_u32("007", 1, 7, &v), 0);
	assert_int_equal(v, 7);
	assert_int_equal(ssi_num_u32("4294967296", 0, UINT32_MAX, &v), -ERANGE);
}

static void durations_and_sizes(void **state)
{
	static const struct { const char *text; uint64_t value; } durations[] = {
		{ "500ms", 500 }, { "3s", 3000 }, { "3", 3000 }, { "2m", 120000 }, { "1h", 3600000 }, { "1d", 86400000 }, { "0", 0 },
	}, sizes[] = {
		{ "100", 100 }, { "64K", 65536 }, { "512M", 512ULL << 20 }, { "2G", 2ULL << 30 }, { "2GiB", 2ULL << 30 }, { "1t", 1ULL << 40 },
	};
	static const char *const bad[] = { "", "ms", "3 s", "3x", "-3s", "3ss", "1.5s" };
	uint64_t v;

	for (size_t i = 0; i < sizeof(durations) / sizeof(*durations); i++) {
		assert_int_equal(ssi_num_duration_ms(durations[i].text, &v), 0);
		assert_int_equal(v, durations[i].value);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		assert_int_equal(ssi_num_size(sizes[i].text, &v), 0);
		assert_int_equal(v, sizes[i].value);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(ssi_num_duration_ms(bad[i], &v), -EINVAL);
		assert_int_equal(ssi_num_size(bad[i], &v), -EINVAL);
	}
	assert_int_equal(ssi_num_size("18446744073709551615G", &v), -ERANGE);
	assert_int_equal(ssi_num_bool("yes"), 1);
	assert_int_equal(ssi_num_bool("Off"), 0);
	assert_int_equal(ssi_num_bool("2"), -EINVAL);
}

static void search_paths(void **state)
{
	static const char *const expect[] = { "/usr/bin/x", "./x", "a/x", "./x" };
	const char *at = "/usr/bin::a:";
	char *file;

	for (size_t i = 0; i < 4; i++) {
		file = ssi_path_search(&at, "x");
		assert_non_null(file);
		assert_string_equal(file, expect[i]);
		free(file);
	}
	assert_null(ssi_path_search(&at, "x"));
	at = "";
	file = ssi_path_search(&at, "x");
	assert_string_equal(file, "./x");
	free(file);
	assert_null(at);
}

static void signals_by_name(void **state)
{
	assert_int_equal(ssi_signal_number("TERM"), SIGTERM);
	assert_int_equal(ssi_signal_number("sigusr1"), SIGUSR1);
	assert_int_equal(ssi_signal_number("9"), SIGKILL);
	assert_int_equal(ssi_signal_number("64"), 64);
	assert_int_equal(ssi_signal_number("0"), 0);
	assert_int_equal(ssi_signal_number("65"), -EINVAL);
	assert_int_equal(ssi_signal_number("SIG"), -EINVAL);
	assert_int_equal(ssi_signal_number(""), -EINVAL);
	assert_int_equal(ssi_signal_number("TERMINATE"), -EINVAL);
}

static void numbers_for_people(void **state)
{
	static const struct { uint64_t value; const char *text; } sizes[] = {
		{ 0, "0 B" }, { 1023, "1023 B" }, { 1024, "1.0 KiB" }, { 1536, "1.5 KiB" }, { (1 << 20) - 1, "1.0 MiB" },
		{ 3ULL << 30, "3.0 GiB" }, { UINT64_MAX, "16.0 EiB" },
	}, times[] = {
		{ 0, "0 ms" }, { 820, "820 ms" }, { 3400, "3.4 s" }, { 59949, "59.9 s" }, { 59950, "1 m 00 s" }, { 125000, "2 m 05 s" },
		{ 3599499, "59 m 59 s" }, { 3599500, "1 h 00 m" }, { 3600000, "1 h 00 m" }, { 4000000, "1 h 06 m" }, { 3 * 86400000ULL + 4 * 3600000, "3 d 4 h" },
	};
	char buf[32];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		assert_string_equal(ssi_num_format_size(buf, sizeof(buf), sizes[i].value), sizes[i].text);
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
		assert_string_equal(ssi_num_format_ms(buf, sizeof(buf), times[i].value), times[i].text);
	assert_string_equal(ssi_clock_format(buf, sizeof(buf), 1769860800123), "2026-01-31T12:00:00.123Z");
}

static void names(void **state)
{
	static const char *const list[] = { "image", "interface", NULL, "init" };
	_cleanup_free_ char *p = ssi_path_join("/a/", "b"), *q = ssi_path_join3("/", "b", "c");
	size_t n;

	assert_string_equal(p, "/a/b");
	assert_string_equal(q, "/b/c");
	assert_string_equal(ssi_path_last("/a/bc", 5, &n), "bc");
	assert_int_equal(n, 2);
	assert_string_equal(ssi_path_last("bc", 2, &n), "bc");
	assert_string_equal(ssi_path_last("/a/", 3, &n), "/a/");
	assert_string_equal(ssi_path_last("", 0, &n), "");
	assert_true(ssi_path_is_name("a.B_c-1+"));
	assert_false(ssi_path_is_name(""));
	assert_false(ssi_path_is_name("."));
	assert_false(ssi_path_is_name(".."));
	assert_false(ssi_path_is_name("a/b"));
	assert_false(ssi_path_is_name("12345678901234567890123456789012345678901234567890123456789012345"));
	assert_string_equal(ssi_suggest("imgae", list, 4), "image");
	assert_string_equal(ssi_suggest("INIT", list, 4), "init");
	assert_null(ssi_suggest("zzz", list, 4));
	assert_null(ssi_suggest("", list, 4));
	assert_int_equal(ssi_suggest_distance("kitten", "sitting"), 3);
	assert_int_equal(ssi_suggest_distance("ab", "ba"), 1);
	assert_int_equal(ssi_suggest_distance("", "abc"), 3);
	assert_true(ssi_words_has("server proxy", "proxy"));
	assert_false(ssi_words_has("server proxy", "prox"));
	assert_false(ssi_words_has("server proxy", ""));
}

static void digests(void **state)
{
	struct ssi_hash *h = ssi_hash_new();
	char hex[SSI_HASH_HEX], a[16], b[16];
	unsigned char bytes[3];

	ssi_hash_add(h, "ab", 2);
	ssi_hash_add(h, "c", 1);
	ssi_hash_end(h, hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(ssi_hash_unhex("00fFa0", bytes, 3), 0);
	assert_memory_equal(bytes, "\x00\xff\xa0", 3);
	assert_int_equal(ssi_hash_unhex("00ff", bytes, 3), -EINVAL);
	assert_int_equal(ssi_hash_unhex("00ffgg", bytes, 3), -EINVAL);
	ssi_hash_hex(bytes, 3, hex);
	assert_string_equal(hex, "00ffa0");
	assert_int_equal(ssi_hash_random(a, sizeof(a)), 0);
	assert_int_equal(ssi_hash_random(b, sizeof(b)), 0);
	assert_memory_not_equal(a, b, sizeof(a));
}

static void base64_both_ways(void **state)
{
	/* RFC 4648, section 10. */
	static const char *const pairs[][2] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
	};
	static const char *const bad[] = {
		"Z", "Zg", "Zg=", "=", "====", "Z===", "Zg==Zg==", "Zm8=Zm9v", "Zm9v\n", "Zm 9", "Zm9-", "Zh==", "Zm9=", "Zg=a",
	};
	char all[256], *text, *back;
	size_t n = 0;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		text = ssi_base64_encode(pairs[i][0], strlen(pairs[i][0]));
		assert_string_equal(text, pairs[i][1]);
		assert_int_equal(ssi_base64_decode(text, &back, &n), 0);
		assert_int_equal(n, strlen(pairs[i][0]));
		assert_string_equal(back, pairs[i][0]);
		free(text);
		free(back);
	}
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)i;
	text = ssi_base64_encode(all, sizeof(all));
	assert_int_equal(ssi_base64_decode(text, &back, &n), 0);
	assert_int_equal(n, sizeof(all));
	assert_memory_equal(back, all, sizeof(all));
	free(text);
	free(back);
	back = NULL;
	n = 7;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(ssi_base64_decode(bad[i], &back, &n), -EINVAL);
	assert_null(back);
	assert_int_equal(n, 7);
}

static void text_for_terminals(void **state)
{
	char escape[] = "\033[2Ja\tb\nc\x7f", c1[] = "x\xc2\x9b" "2J\xc3\xa9";

	assert_string_equal(ssi_tty_clean(escape, true), "?[2Ja?b\nc?");
	assert_string_equal(ssi_tty_clean(escape, false), "?[2Ja?b?c?");
	assert_string_equal(ssi_tty_clean(c1, false), "x??2J\xc3\xa9");
	assert_string_equal(ssi_tty_begin(SSI_RED, false), "");
	assert_string_equal(ssi_tty_end(SSI_RED, true), "\033[0m");
	assert_string_equal(ssi_tty_end(SSI_PLAIN, true), "");
}

/* What is printed to a file: no colours, characters counted and not bytes, no blanks at the end of a line, an unfinished row left out. */
static void tables(void **state)
{
	static const struct ssi_column columns[] = { { "NAME", false }, { "SIZE", true }, { "", false }, { NULL, false } };
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	ssi_table_cell(t, SSI_RED, "%s", "h\xc3\xa9h\xc3\xa9 1");
	ssi_table_cell(t, SSI_PLAIN, "%d", 5);
	ssi_table_cell(t, SSI_PLAIN, "%s", "");
	ssi_table_cell(t, SSI_PLAIN, "a\033b");
	ssi_table_cell(t, SSI_PLAIN, "12345");
	ssi_table_cell(t, SSI_PLAIN, "note");
	ssi_table_cell(t, SSI_PLAIN, "unfinished");
	ssi_table_print(t, f, 1);
	ssi_table_cell(NULL, SSI_PLAIN, "x");
	ssi_table_print(NULL, f, 0);
	fclose(f);
	assert_string_equal(text, " NAME         SIZE\n h\xc3\xa9h\xc3\xa9 1          5\n a?b         12345  note\n");
	free(text);
}

/* Three in ten seconds; the first of the next ten tells of those that were not. */
static void limits(void **state)
{
	struct ssi_limit l = { 0 };
	unsigned left_out = 7;

	for (unsigned i = 0; i < 3; i++) {
		assert_true(ssi_limit_pass(&l, 50000 + i, 10000, 3, false, &left_out));
		assert_int_equal(left_out, 0);
	}
	assert_false(ssi_limit_pass(&l, 50003, 10000, 3, false, &left_out));
	assert_false(ssi_limit_pass(&l, 59999, 10000, 3, false, &left_out));
	assert_int_equal(left_out, 0);
	assert_true(ssi_limit_pass(&l, 60000, 10000, 3, false, &left_out));
	assert_int_equal(left_out, 2);
	for (unsigned i = 0; i < 5; i++)
		assert_true(ssi_limit_pass(&l, 60001, 10000, 3, true, &left_out));
	assert_int_equal(left_out, 0);
	assert_false(ssi_limit_pass(&l, 60002, 10000, 3, false, &left_out));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors), cmocka_unit_test(buffers), cmocka_unit_test(arenas), cmocka_unit_test(maps),
		cmocka_unit_test(numbers), cmocka_unit_test(durations_and_sizes), cmocka_unit_test(signals_by_name),
		cmocka_unit_test(search_paths), cmocka_unit_test(numbers_for_people),
		cmocka_unit_test(names), cmocka_unit_test(digests), cmocka_unit_test(limits),
		cmocka_unit_test(base64_both_ways), cmocka_unit_test(text_for_terminals), cmocka_unit_test(tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
