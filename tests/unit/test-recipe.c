/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mkimage/recipe: what is read, and what is refused. Every tests/corpus/recipes/NAME.ini must give exactly the mistakes in NAME.expect,
 * line by line; the recipes that are shipped must give none.
 */
#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "libssi/base/file.h"
#include "mkimage/recipe.h"

static void test_values(void **state)
{
	static const char text[] =
		"[image]\nname = small\nsource = debian\nsuite = bookworm\npackages = kmod  procps\npackages = iproute2\n"
		"[modules]\ndrop = drivers/gpu sound\n[initramfs]\ndrivers = e1000e =ethernet\ntrim = no\n"
		"[overlay]\ncopy = over lay\n[services]\nmask = a.timer # why\n";
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	_cleanup_recipe_ struct recipe *r = NULL;

	assert_int_equal(recipe_parse("dir/small.ini", text, strlen(text), &r, &errors), 0);
	assert_string_equal(r->name, "small");
	assert_string_equal(r->dir, "dir");
	assert_string_equal(r->kernel, "linux-image-amd64");
	assert_string_equal(r->programs, "none");
	assert_string_equal(r->init, "ssi");
	assert_int_equal(r->packages.n, 3);
	assert_string_equal(r->packages.words[2].text, "iproute2");
	assert_int_equal(r->packages.words[2].line, 6);
	assert_int_equal(r->drop.n, 2);
	assert_false(r->trim);
	/* A folder may have blanks in its name. */
	assert_int_equal(r->overlays.n, 1);
	assert_string_equal(r->overlays.words[0].text, "over lay");
	assert_string_equal(r->mask.words[0].text, "a.timer");
}

static void check_file(const char *ini)
{
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	_cleanup_free_ char *expected = NULL, *expect_path = NULL;
	_cleanup_recipe_ struct recipe *r = NULL;
	const char *found;

	assert_true(asprintf(&expect_path, "%.*s.expect", (int)strlen(ini) - 4, ini) > 0);
	assert_int_equal(ssi_file_read(expect_path, 65536, &expected, NULL), 0);
	assert_true(recipe_load(ini, &r, &errors) < 0);
	assert_null(r);
	found = errors.data;
	assert_non_null(found);
	if (strcmp(found, expected))
		fail_msg("%s: said\n%sinstead of\n%s", ini, found, expected);
}

static void test_corpus(void **state)
{
	glob_t g;

	/* The names in the messages are as the file was called: from within the folder. */
	assert_int_equal(chdir(getenv("srcdir") ? getenv("srcdir") : "."), 0);
	assert_int_equal(chdir("tests/corpus/recipes"), 0);
	assert_int_equal(glob("*.ini", 0, NULL, &g), 0);
	assert_true(g.gl_pathc >= 25);
	for (size_t i = 0; i < g.gl_pathc; i++)
		check_file(g.gl_pathv[i]);
	globfree(&g);
}

static void test_shipped(void **state)
{
	static const char *const files[] = { "../../../recipes/compute.ini", "../../../recipes/master.ini" };

	for (size_t i = 0; i < 2; i++) {
		_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
		_cleanup_recipe_ struct recipe *r = NULL;

		if (recipe_load(files[i], &r, &errors) < 0)
			fail_msg("%s", errors.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values), cmocka_unit_test(test_corpus), cmocka_unit_test(test_shipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
