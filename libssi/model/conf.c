/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reader of ini texts. Called by the registry (nodes.d), by mkimage (recipes) and by ssi-init (services.d). It works a
 * line at a time in one buffer and keeps nothing else, so its memory does not grow with the text. What it does not do
 * well: it knows no quoting, so a value cannot begin or end with a blank.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/num.h"
#include "libssi/base/path.h"
#include "libssi/base/suggest.h"
#include "libssi/base/utf8.h"
#include "libssi/base/words.h"
#include "libssi/model/conf.h"

#define CONF_SHOWN 60u                   /* bytes of the user's own text that a message repeats */

struct ssi_conf {
	const char *file;
	unsigned line;
	const struct ssi_conf_section *sections;
	const struct ssi_conf_ops *ops;
	void *userdata;
	struct ssi_conf_errors *errors;
	const struct ssi_conf_section *section;     /* NULL: none yet */
	bool skip;                                  /* the section was refused: its keys say nothing */
	unsigned seen[SSI_CONF_KEYS_MAX];           /* line where each key of this section stands */
	char text[SSI_CONF_LINE_MAX + 1];
};

__attribute__((format(printf, 4, 0)))
static void conf_errorv(struct ssi_conf_errors *errors, const char *file, unsigned line, const char *fmt, va_list ap)
{
	char text[SSI_ERR_MAX];

	if (++errors->n > SSI_CONF_ERRORS_MAX)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	if (line)
		ssi_buf_addf(errors->to, "%s:%u: %s\n", file, line, text);
	else
		ssi_buf_addf(errors->to, "%s: %s\n", file, text);
}

void ssi_conf_error(struct ssi_conf_errors *errors, const char *file, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	conf_errorv(errors, file, line, fmt, ap);
	va_end(ap);
}

int ssi_conf_errors_end(struct ssi_conf_errors *errors)
{
	if (errors->n > SSI_CONF_ERRORS_MAX)
		ssi_buf_addf(errors->to, "and %u mistakes more\n", errors->n - SSI_CONF_ERRORS_MAX);
	if (errors->to->err)
		return errors->to->err;
	return errors->n ? -EINVAL : 0;
}

unsigned ssi_conf_line(const struct ssi_conf *c)
{
	return c->line;
}

void ssi_conf_mistake(struct ssi_conf *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	conf_errorv(c->errors, c->file, c->line, fmt, ap);
	va_end(ap);
}

/* ---- text ---- */

static bool conf_blank(char ch)
{
	return ch == ' ' || ch == '\t';
}

/* What makes a line no text, or NULL. */
static const char *conf_not_text(const char *s, size_t n)
{
	size_t len;

	for (size_t i = 0; i < n; i += len) {
		unsigned char ch = s[i];

		if (!ch)
			return "a NUL byte";
		if ((ch < 0x20 && ch != '\t') || ch == 0x7f)
			return "a control character";
		len = ssi_utf8_len(s + i, n - i);
		if (!len)
			return "a byte that is not UTF-8";
	}
	return NULL;
}

/* How much of s a message repeats: whole characters only. */
static int conf_shown(const char *s)
{
	size_t n = strlen(s);

	if (n > CONF_SHOWN)
		for (n = CONF_SHOWN; n && ((unsigned char)s[n] & 0xc0) == 0x80; n--)
			;
	return (int)n;
}

/* Cut the comment and the blanks at both ends; returns the rest. */
static char *conf_strip(char *s)
{
	size_t n;

	for (char *p = s; *p; p++)
		if ((*p == '#' || *p == ';') && (p == s || conf_blank(p[-1]))) {
			*p = '\0';
			break;
		}
	while (conf_blank(*s))
		s++;
	for (n = strlen(s); n && conf_blank(s[n - 1]); n--)
		s[n - 1] = '\0';
	return s;
}

/* ---- sections and keys ---- */

static bool conf_is_key(const char *s)
{
	return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0';
}

static void conf_unknown_section(struct ssi_conf *c, const char *kind)
{
	const char *kinds[SSI_CONF_KEYS_MAX], *meant;
	size_t n = 0;

	for (const struct ssi_conf_section *s = c->sections; s->kind && n < SSI_CONF_KEYS_MAX; s++)
		kinds[n++] = s->kind;
	meant = ssi_suggest(kind, kinds, n);
	if (meant)
		ssi_conf_mistake(c, "unknown section [%.*s]: did you mean [%s]?", conf_shown(kind), kind, meant);
	else
		ssi_conf_mistake(c, "unknown section [%.*s]", conf_shown(kind), kind);
}

static const struct ssi_conf_section *conf_find_section(const struct ssi_conf *c, const char *kind)
{
	for (const struct ssi_conf_section *s = c->sections; s->kind; s++)
		if (!strcmp(s->kind, kind))
			return s;
	return NULL;
}

/* "[kind name]"; until one is good, the keys that follow are passed over. */
static void conf_header(struct ssi_conf *c, char *s)
{
	size_t n = strlen(s);
	char *kind, *name;

	c->skip = true;
	c->section = NULL;
	if (s[n - 1] != ']') {
		ssi_conf_mistake(c, "section header without ']' at its end: %.*s", conf_shown(s), s);
		return;
	}
	s[n - 1] = '\0';
	kind = conf_strip(s + 1);
	n = strcspn(kind, " \t");
	name = kind + n + strspn(kind + n, " \t");
	kind[n] = '\0';
	c->section = conf_find_section(c, kind);
	if (!*kind)
		ssi_conf_mistake(c, "empty section header");
	else if (!c->section)
		conf_unknown_section(c, kind);
	else if (!*name && c->section->name)
		ssi_conf_mistake(c, "[%s] without a name: write [%s %s]", kind, kind, c->section->name);
	else if (*name && !c->section->name)
		ssi_conf_mistake(c, "[%s] takes no name, here it has '%.*s'", kind, conf_shown(name), name);
	else
		c->skip = c->ops->section && c->ops->section(c, c->section, name, c->userdata) != 0;
	memset(c->seen, 0, sizeof(c->seen));
}

static bool conf_key_matches(const struct ssi_conf_key *k, const char *key)
{
	size_t n = strlen(k->name);

	if (n > 2 && !strcmp(k->name + n - 2, ".*"))
		return !strncmp(k->name, key, n - 1) && key[n - 1];
	return !strcmp(k->name, key);
}

static void conf_unknown_key(struct ssi_conf *c, const char *key)
{
	const char *names[SSI_CONF_KEYS_MAX], *meant;
	size_t n = 0;

	for (const struct ssi_conf_key *k = c->section->keys; k->name && n < SSI_CONF_KEYS_MAX; k++)
		names[n++] = k->name;
	meant = ssi_suggest(key, names, n);
	if (meant)
		ssi_conf_mistake(c, "unknown key '%.*s' in [%s]: did you mean '%s'?", conf_shown(key), key, c->section->kind, meant);
	else
		ssi_conf_mistake(c, "unknown key '%.*s' in [%s]", conf_shown(key), key, c->section->kind);
}

/* Record where a key stands; false if it stood already and may not again. Keys of a "x.*" are the caller's to compare. */
static bool conf_first(struct ssi_conf *c, const struct ssi_conf_key *k)
{
	size_t i = k - c->section->keys;

	if (i >= SSI_CONF_KEYS_MAX || k->flags & SSI_CONF_REPEAT || strchr(k->name, '*'))
		return true;
	if (c->seen[i]) {
		ssi_conf_mistake(c, "'%s' a second time in this section, first in line %u", k->name, c->seen[i]);
		return false;
	}
	c->seen[i] = c->line;
	return true;
}

static bool conf_value_ok(struct ssi_conf *c, const struct ssi_conf_key *k, const char *key, const char *value)
{
	struct ssi_err e = { 0 };

	if (!*value) {
		if (!(k->flags & SSI_CONF_EMPTY))
			ssi_conf_mistake(c, "no value for '%.*s'", conf_shown(key), key);
		return k->flags & SSI_CONF_EMPTY;
	}
	if (k->words && !ssi_words_has(k->words, value))
		ssi_errf(&e, -EINVAL, "must be one of: %s", k->words);
	else if (k->check)
		k->check(value, &e);
	if (e.code)
		ssi_conf_mistake(c, "%.*s = %.*s: %s", conf_shown(key), key, conf_shown(value), value, e.text);
	return !e.code;
}

static void conf_entry(struct ssi_conf *c, char *s)
{
	char *equals = strchr(s, '='), *key, *value;
	const struct ssi_conf_key *k;

	if (c->skip)
		return;
	if (!equals) {
		ssi_conf_mistake(c, "neither '[section]' nor 'key = value': %.*s", conf_shown(s), s);
		return;
	}
	*equals = '\0';
	key = conf_strip(s);
	value = equals + 1 + strspn(equals + 1, " \t");
	if (!conf_is_key(key)) {
		ssi_conf_mistake(c, "'%.*s' is no key", conf_shown(key), key);
		return;
	}
	if (!c->section) {
		ssi_conf_mistake(c, "key '%.*s' outside of any section", conf_shown(key), key);
		return;
	}
	for (k = c->section->keys; k->name; k++)
		if (conf_key_matches(k, key))
			break;
	if (!k->name)
		conf_unknown_key(c, key);
	else if (!conf_first(c, k))
		return;
	else if (conf_value_ok(c, k, key, value))
		c->ops->entry(c, c->section, k, key, value, c->userdata);
	else if (c->ops->refused)
		c->ops->refused(c, c->section, k, c->userdata);
}

/* One line without its newline. */
static void conf_feed(struct ssi_conf *c, const char *line, size_t n)
{
	const char *what;
	char *s;

	c->line++;
	if (n && line[n - 1] == '\r')
		n--;
	if (n > SSI_CONF_LINE_MAX) {
		ssi_conf_mistake(c, "a line of %zu bytes: at most %u are read", n, SSI_CONF_LINE_MAX);
		return;
	}
	what = conf_not_text(line, n);
	if (what) {
		ssi_conf_mistake(c, "%s in this line: the file must be plain text", what);
		return;
	}
	memcpy(c->text, line, n);
	c->text[n] = '\0';
	s = conf_strip(c->text);
	if (*s == '[')
		conf_header(c, s);
	else if (*s)
		conf_entry(c, s);
}

int ssi_conf_parse(const char *file, const char *text, size_t len, const struct ssi_conf_section *sections,
		   const struct ssi_conf_ops *ops, void *userdata, struct ssi_conf_errors *errors)
{
	struct ssi_conf c = { .file = file, .sections = sections, .ops = ops, .userdata = userdata, .errors = errors };
	const char *end = text + len, *nl;

	if (len > SSI_CONF_FILE_MAX) {
		ssi_conf_error(errors, file, 0, "%zu bytes: at most %u are read", len, SSI_CONF_FILE_MAX);
		return errors->to->err;
	}
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	for (; text < end; text = nl + 1) {
		nl = memchr(text, '\n', end - text);
		if (!nl)
			nl = end;
		conf_feed(&c, text, nl - text);
	}
	return errors->to->err;
}

/* ---- checks ---- */

int ssi_conf_check_name(const char *value, struct ssi_err *e)
{
	if (ssi_path_is_name(value))
		return 0;
	return ssi_errf(e, -EINVAL, "not a name (letters, digits and . _ + -, at most 64)");
}

int ssi_conf_check_bool(const char *value, struct ssi_err *e)
{
	int r = ssi_num_bool(value);

	return r < 0 ? ssi_errf(e, r, "must be yes or no") : 0;
}

int ssi_conf_check_duration(const char *value, struct ssi_err *e)
{
	uint64_t ms;
	int r = ssi_num_duration_ms(value, &ms);

	return r < 0 ? ssi_errf(e, r, "not a duration such as 500ms, 3s or 2m") : 0;
}

int ssi_conf_check_size(const char *value, struct ssi_err *e)
{
	uint64_t bytes;
	int r = ssi_num_size(value, &bytes);

	return r < 0 ? ssi_errf(e, r, "not a size such as 512M or 2G") : 0;
}
