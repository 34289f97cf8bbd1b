/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks of single values in a recipe. Called by the reader through its table of keys; each says what the value should have been. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include "libssi/base/path.h"
#include "mkimage/list.h"
#include "mkimage/recipe-check.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

static bool made_of(const char *s, const char *first, const char *rest)
{
	return *s && strchr(first, *s) && !s[1 + strspn(s + 1, rest)];
}

/* Every word of v must pass. */
static int each_word(const char *v, bool (*ok)(const char *word), const char *what, struct ssi_err *e)
{
	_cleanup_list_ struct list words = { 0 };
	int r = list_add_words(&words, v, 0);

	for (size_t i = 0; i < words.n && r == 0; i++)
		if (!ok(words.words[i].text))
			r = ssi_errf(e, -EINVAL, "'%s' is not %s", words.words[i].text, what);
	return r;
}

static bool is_package(const char *s) { return s[0] && s[1] && made_of(s, LOWER DIGIT, LOWER DIGIT "+-.:"); }
static bool is_module(const char *s) { return made_of(s, LOWER UPPER DIGIT, LOWER UPPER DIGIT "_-"); }
static bool is_driver(const char *s) { return !strcmp(s, "=ethernet") || is_module(s); }

static bool is_inside(const char *s)
{
	if (*s == '/' || !*s)
		return false;
	for (const char *p = s; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (!strncmp(p, "..", 2) && (!p[2] || p[2] == '/'))
			return false;
	}
	return true;
}

static bool is_unit(const char *s)
{
	static const char *const kinds[] = { ".service", ".socket", ".timer", ".target", ".mount", ".automount", ".path", ".slice", ".swap" };
	const char *dot = strrchr(s, '.');

	if (!made_of(s, LOWER UPPER DIGIT "-", LOWER UPPER DIGIT ":-_.\\@"))
		return false;
	for (size_t i = 0; dot && i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(dot, kinds[i]))
			return true;
	return false;
}

int recipe_check_suite(const char *v, struct ssi_err *e)
{
	return made_of(v, LOWER, LOWER DIGIT "-.") ? 0 : ssi_errf(e, -EINVAL, "'%s' is not a suite such as bookworm", v);
}

int recipe_check_mirror(const char *v, struct ssi_err *e)
{
	static const char *const schemes[] = { "http://", "https://", "file:/", "copy:/" };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
		if (!strncmp(v, schemes[i], strlen(schemes[i])) && !strpbrk(v, " \t"))
			return 0;
	return ssi_errf(e, -EINVAL, "'%s' is not an address such as http://HOST/debian or file:/srv/debian", v);
}

int recipe_check_package(const char *v, struct ssi_err *e)
{
	return is_package(v) ? 0 : ssi_errf(e, -EINVAL, "'%s' is not the name of a package", v);
}

int recipe_check_folder(const char *v, struct ssi_err *e)
{
	return strpbrk(v, "\t") ? ssi_errf(e, -EINVAL, "'%s' is not the path of a folder", v) : 0;
}

int recipe_check_packages(const char *v, struct ssi_err *e) { return each_word(v, is_package, "the name of a package", e); }
int recipe_check_modules(const char *v, struct ssi_err *e) { return each_word(v, is_module, "the name of a kernel module", e); }
int recipe_check_drivers(const char *v, struct ssi_err *e) { return each_word(v, is_driver, "the name of a kernel module, nor =ethernet", e); }
int recipe_check_units(const char *v, struct ssi_err *e) { return each_word(v, is_unit, "a systemd unit such as ssh.service", e); }

int recipe_check_inside(const char *v, struct ssi_err *e)
{
	return each_word(v, is_inside, "a path below the tree (no '/' at its start, no '..' in it)", e);
}
