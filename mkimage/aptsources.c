/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's apt sources, filtered. Called by inputs.c. Options of an entry, Signed-By among them, are kept; comments are not, so that
 * a note in a file does not count as a change of the image's inputs.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "mkimage/aptsources.h"

#define APTSOURCES_MAX (1u << 20)

static bool about(const char *word, size_t n, const char *suite)
{
	static const char *const tails[] = { "", "-updates", "-security", "/updates" };
	size_t len = strlen(suite);

	for (size_t i = 0; i < sizeof(tails) / sizeof(*tails); i++)
		if (n == len + strlen(tails[i]) && !strncmp(word, suite, len) && !strncmp(word + len, tails[i], strlen(tails[i])))
			return true;
	return false;
}

/* "deb [options] URI SUITE COMPONENT...": is it a binary entry of this suite? */
static bool line_about(const char *line, const char *suite)
{
	const char *p = line + strspn(line, " \t");

	if (strncmp(p, "deb", 3) || !strchr(" \t", p[3]))
		return false;
	p += 3 + strspn(p + 3, " \t");
	if (*p == '[') {
		p += strcspn(p, "]");
		p += strspn(p, "] \t");
	}
	p += strcspn(p, " \t");         /* the URI */
	p += strspn(p, " \t");
	return about(p, strcspn(p, " \t"), suite);
}

void aptsources_add_list(struct aptsources *a, const char *text, const char *suite)
{
	_cleanup_free_ char *copy = strdup(text);
	char *save = NULL;

	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		line[strcspn(line, "#\r")] = '\0';
		if (line_about(line, suite))
			ssi_buf_addf(&a->list, "%s\n", line);
	}
}

/* The value of a field that stands at the start of a line, or NULL; lines that begin with a blank go on with it. */
static const char *field(const char *stanza, const char *name, size_t *ret_n)
{
	size_t n = strlen(name);

	for (const char *p = stanza; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		if (strncasecmp(p, name, n) || p[n] != ':')
			continue;
		p += n + 1;
		p += strspn(p, " \t");
		n = strcspn(p, "\n");
		while (p[n] && p[n + 1] && strchr(" \t", p[n + 1]))
			n += 1 + strcspn(p + n + 1, "\n");
		*ret_n = n;
		return p;
	}
	return NULL;
}

static bool field_has(const char *stanza, const char *name, const char *word)
{
	size_t n = 0, len = strlen(word);
	const char *p = field(stanza, name, &n), *end = p ? p + n : NULL;

	while (p && p < end) {
		size_t w = strcspn(p, " \t\n");

		if (w == len && !strncasecmp(p, word, len))
			return true;
		p += w;
		p += strspn(p, " \t\n");
	}
	return false;
}

/* Apt's words for no. */
static bool disabled(const char *stanza)
{
	static const char *const no[] = { "no", "false", "without", "off", "disable", "0" };

	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
		if (field_has(stanza, "Enabled", no[i]))
			return true;
	return false;
}

/* The words of Suites that are about our suite. */
static void suites(const char *stanza, const char *suite, struct ssi_buf *to)
{
	size_t n = 0;
	const char *p = field(stanza, "Suites", &n), *end = p ? p + n : NULL;

	while (p && p < end) {
		size_t w = strcspn(p, " \t\n");

		if (about(p, w, suite)) {
			ssi_buf_adds(to, " ");
			ssi_buf_add(to, p, w);
		}
		p += w;
		p += strspn(p, " \t\n");
	}
}

static void add_stanza(struct aptsources *a, char *stanza, const char *suite)
{
	_cleanup_buf_ struct ssi_buf found = SSI_BUF_INIT;
	bool ours = false;      /* the field is written by us, whole */
	char *save = NULL;

	suites(stanza, suite, &found);
	if (!found.len || !field_has(stanza, "Types", "deb") || disabled(stanza))
		return;
	for (char *line = strtok_r(stanza, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		ours = strchr(" \t", *line) ? ours : !strncasecmp(line, "Suites:", 7) || !strncasecmp(line, "Types:", 6);
		if (!ours)
			ssi_buf_addf(&a->deb822, "%s\n", line);
		else if (!strncasecmp(line, "Suites:", 7))
			ssi_buf_addf(&a->deb822, "Suites:%s\n", found.data);
		else if (!strncasecmp(line, "Types:", 6))
			ssi_buf_adds(&a->deb822, "Types: deb\n");
	}
	ssi_buf_adds(&a->deb822, "\n");
}

/* Copy without comment lines and carriage returns, so that a blank line is two newlines. */
static char *without_comments(const char *text)
{
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;

	while (*text) {
		size_t n = strcspn(text, "\n"), len = n;

		while (len && strchr(" \t\r", text[len - 1]))
			len--;
		if (*text != '#') {
			ssi_buf_add(&b, text, len);
			ssi_buf_adds(&b, "\n");
		}
		text += n + (text[n] == '\n');
	}
	return ssi_buf_take(&b);
}

void aptsources_add_deb822(struct aptsources *a, const char *text, const char *suite)
{
	_cleanup_free_ char *copy = without_comments(text);
	char *stanza = copy, *end;

	while (stanza && *stanza) {
		end = strstr(stanza, "\n\n");
		if (end)
			end[1] = '\0';
		add_stanza(a, stanza, suite);
		stanza = end ? end + 2 : NULL;
	}
}

static void add_file(struct aptsources *a, const char *path, const char *suite)
{
	_cleanup_free_ char *text = NULL;
	const char *dot = strrchr(path, '.');

	if (ssi_file_read(path, APTSOURCES_MAX, &text, NULL) < 0)
		return;
	if (!strcmp(dot, ".sources"))
		aptsources_add_deb822(a, text, suite);
	else
		aptsources_add_list(a, text, suite);
}

static int is_source(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return dot && (!strcmp(dot, ".list") || !strcmp(dot, ".sources"));
}

int aptsources_read(const char *etc, const char *suite, struct aptsources *ret, struct ssi_err *e)
{
	_cleanup_free_ char *main_file = ssi_path_join(etc, "sources.list"), *dir = ssi_path_join(etc, "sources.list.d");
	struct dirent **names = NULL;
	int n;

	if (!main_file || !dir)
		return ssi_errno(e, -ENOMEM, "%s", etc);
	add_file(ret, main_file, suite);
	n = scandir(dir, &names, is_source, alphasort);
	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *path = ssi_path_join(dir, names[i]->d_name);

		if (path)
			add_file(ret, path, suite);
		free(names[i]);
	}
	free(names);
	if (ret->list.err || ret->deb822.err)
		return ssi_errno(e, -ENOMEM, "%s", etc);
	if (!ret->list.len && !ret->deb822.len)
		return ssi_errf(e, -ENOENT, "the apt sources of this host (%s) have nothing about suite '%s': name a 'mirror' in the recipe", etc, suite);
	return 0;
}

void aptsources_free(struct aptsources *a)
{
	ssi_buf_free(&a->list);
	ssi_buf_free(&a->deb822);
}
