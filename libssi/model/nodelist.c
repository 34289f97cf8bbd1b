/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ranges of names, read and written. Called for [node RANGE] sections and for every RANGE that people type. Reading stops
 * at SSI_NODELIST_MAX names whatever the text promises; writing folds only the last number of a name.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/buf.h"
#include "libssi/base/map.h"
#include "libssi/base/path.h"
#include "libssi/model/nodelist.h"

#define NODELIST_NAME 63         /* bytes of a name */
#define NODELIST_DIGITS 9        /* of a number, so that it fits */
#define NODELIST_BRACKETS 4      /* groups in one name */

struct nodelist_reader {
	struct ssi_nodelist *list;
	size_t cap, written;            /* written: names met, twice is two, so that repetition is bounded as well */
	struct ssi_map seen;
	const char *whole;
	struct ssi_err *e;
};

static int nodelist_wrong(struct nodelist_reader *r, const char *at, const char *what)
{
	return ssi_errf(r->e, -EINVAL, "'%.100s': %s at '%.20s' (byte %zu)", r->whole, what, at, (size_t)(at - r->whole) + 1);
}

static int nodelist_add(struct nodelist_reader *r, const char *name, const char *at)
{
	struct ssi_nodelist *l = r->list;
	char *copy;
	int err;

	if (!ssi_path_is_name(name))
		return nodelist_wrong(r, at, *name ? "not a name (letters, digits and . _ + -)" : "a name is missing");
	if (++r->written > SSI_NODELIST_MAX)
		return ssi_errf(r->e, -E2BIG, "'%.100s': more than %d names", r->whole, SSI_NODELIST_MAX);
	if (ssi_map_get(&r->seen, name))
		return 0;
	if (l->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 16;
		char **names = reallocarray(l->names, cap, sizeof(*names));

		if (!names)
			return ssi_errno(r->e, -ENOMEM, "'%.100s'", r->whole);
		l->names = names;
		r->cap = cap;
	}
	copy = strdup(name);
	err = copy ? ssi_map_put(&r->seen, copy, copy) : -ENOMEM;
	if (err < 0) {
		free(copy);
		return ssi_errno(r->e, err, "'%.100s'", r->whole);
	}
	l->names[l->n++] = copy;
	return 0;
}

/* The digits at *s; *s is left behind them. Returns how many there are, 0 when it is no number or too long a one. */
static int nodelist_number(const char **s, uint32_t *ret)
{
	int n = 0;

	*ret = 0;
	for (; **s >= '0' && **s <= '9'; (*s)++) {
		if (++n > NODELIST_DIGITS)
			return 0;
		*ret = *ret * 10 + (uint32_t)(**s - '0');
	}
	return n;
}

static int nodelist_expand(struct nodelist_reader *r, const char *prefix, const char *rest, const char *end, int depth);

/* Every number of "a-b" or "a", between prefix and what follows the bracket. */
static int nodelist_run(struct nodelist_reader *r, const char *prefix, const char **s, const char *rest, const char *end, int depth)
{
	const char *at = *s, *second;
	char name[NODELIST_NAME + 2];
	uint32_t low, high;
	int width = nodelist_number(s, &low), w2, err;

	high = low;
	if (!width)
		return nodelist_wrong(r, at, "a number is missing or too long");
	if (**s == '-') {
		second = ++*s;
		w2 = nodelist_number(s, &high);
		if (!w2)
			return nodelist_wrong(r, second, "a number is missing or too long");
		if (high < low)
			return nodelist_wrong(r, at, "a range that runs backwards");
		if (*second == '0' && w2 != width)
			return nodelist_wrong(r, at, "a range whose ends are not padded alike");
	}
	if (**s != ',' && **s != ']')
		return nodelist_wrong(r, *s, "neither ',' nor ']'");
	for (uint32_t i = low; i <= high; i++) {
		if (snprintf(name, sizeof(name), "%s%0*u", prefix, width, i) > NODELIST_NAME)
			return nodelist_wrong(r, at, "a name of more than 63 bytes");
		err = nodelist_expand(r, name, rest, end, depth + 1);
		if (err < 0)
			return err;
	}
	return 0;
}

/* prefix is done; rest up to end is still to be written out. */
static int nodelist_expand(struct nodelist_reader *r, const char *prefix, const char *rest, const char *end, int depth)
{
	const char *open = memchr(rest, '[', end - rest), *close, *s;
	size_t n = strlen(prefix), more = (open ? open : end) - rest;
	char name[NODELIST_NAME + 1];
	int err = 0;

	if (n + more > NODELIST_NAME)
		return nodelist_wrong(r, rest, "a name of more than 63 bytes");
	memcpy(name, prefix, n);
	memcpy(name + n, rest, more);
	name[n + more] = '\0';
	if (!open)
		return nodelist_add(r, name, rest);
	close = memchr(open, ']', end - open);
	if (!close)
		return nodelist_wrong(r, open, "'[' without ']'");
	if (depth >= NODELIST_BRACKETS)
		return nodelist_wrong(r, open, "too many brackets");
	for (s = open; err == 0 && s < close;) {
		s++;
		err = nodelist_run(r, name, &s, close + 1, end, depth);
	}
	return err;
}

/* Where the item at s ends: at a comma outside brackets or at the end of the text. */
static const char *nodelist_item_end(const char *s)
{
	for (bool in = false; *s && (in || *s != ','); s++)
		if (*s == '[')
			in = true;
		else if (*s == ']')
			in = false;
	return s;
}

static int nodelist_read(struct nodelist_reader *r, const char *s)
{
	const char *end;
	int err;

	for (;; s = end + 1) {
		s += strspn(s, " \t");
		end = nodelist_item_end(s);
		err = nodelist_expand(r, "", s, end, 0);
		if (err < 0 || !*end)
			return err;
	}
}

int ssi_nodelist_parse(const char *s, struct ssi_nodelist **ret, struct ssi_err *e)
{
	_cleanup_nodelist_ struct ssi_nodelist *l = calloc(1, sizeof(*l));
	struct nodelist_reader r = { .list = l, .whole = s, .e = e };
	int err;

	if (!l)
		return ssi_errno(e, -ENOMEM, "'%.100s'", s);
	err = nodelist_read(&r, s);
	ssi_map_free(&r.seen);
	if (err < 0)
		return err;
	*ret = TAKE_PTR(l);
	return 0;
}

void ssi_nodelist_free(struct ssi_nodelist *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++)
		free(l->names[i]);
	free(l->names);
	free(l);
}

/* ---- writing ---- */

/* A name as what stands before its last number, and that number. */
struct nodelist_part {
	const char *name, *digits;      /* digits points to the end of the name when it has no number */
	size_t prefix;
	uint32_t number;
};

static struct nodelist_part nodelist_split(const char *name)
{
	size_t n = strlen(name), from = n;
	struct nodelist_part p = { .name = name };
	const char *s;

	while (from && name[from - 1] >= '0' && name[from - 1] <= '9' && n - from < NODELIST_DIGITS)
		from--;
	p.digits = s = name + from;
	p.prefix = from;
	nodelist_number(&s, &p.number);
	return p;
}

static int nodelist_compare(const void *x, const void *y)
{
	const struct nodelist_part *a = x, *b = y;
	size_t n = a->prefix < b->prefix ? a->prefix : b->prefix;
	int c = memcmp(a->name, b->name, n);

	if (c || a->prefix != b->prefix)
		return c ? c : a->prefix < b->prefix ? -1 : 1;
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return strcmp(a->digits, b->digits);
}

static bool nodelist_same_prefix(const struct nodelist_part *a, const struct nodelist_part *b)
{
	return a->prefix == b->prefix && !memcmp(a->name, b->name, a->prefix) && *a->digits && *b->digits;
}

/* How many parts from p on are one run "a-b", written with the width of the first. */
static size_t nodelist_run_length(const struct nodelist_part *p, size_t n)
{
	char next[NODELIST_DIGITS + 3];
	size_t k = 1;

	for (; k < n && nodelist_same_prefix(p, p + k); k++) {
		snprintf(next, sizeof(next), "%0*u", (int)strlen(p->digits), p->number + (uint32_t)k);
		if (strcmp(next, p[k].digits) != 0)
			break;
	}
	return k;
}

/* All parts that share the prefix of the first; returns how many. */
static size_t nodelist_write_group(struct ssi_buf *b, const struct nodelist_part *p, size_t n)
{
	size_t all = 1;

	while (all < n && nodelist_same_prefix(p, p + all))
		all++;
	if (all == 1) {
		ssi_buf_adds(b, p->name);
		return 1;
	}
	ssi_buf_add(b, p->name, p->prefix);
	for (size_t i = 0, k; i < all; i += k) {
		k = nodelist_run_length(p + i, all - i);
		ssi_buf_addf(b, "%s%s", i ? "," : "[", p[i].digits);
		if (k > 1)
			ssi_buf_addf(b, "-%s", p[i + k - 1].digits);
	}
	ssi_buf_adds(b, "]");
	return all;
}

char *ssi_nodelist_format(char *const *names, size_t n)
{
	_cleanup_free_ struct nodelist_part *parts = calloc(n ? n : 1, sizeof(*parts));
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	size_t unique = 0;

	if (!parts)
		return NULL;
	for (size_t i = 0; i < n; i++)
		parts[i] = nodelist_split(names[i]);
	qsort(parts, n, sizeof(*parts), nodelist_compare);
	for (size_t i = 0; i < n; i++)
		if (!unique || strcmp(parts[unique - 1].name, parts[i].name) != 0)
			parts[unique++] = parts[i];
	for (size_t i = 0; i < unique;) {
		if (i)
			ssi_buf_adds(&b, ",");
		i += nodelist_write_group(&b, parts + i, unique - i);
	}
	return ssi_buf_take(&b);
}
