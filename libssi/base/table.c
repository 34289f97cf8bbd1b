/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables of text with aligned columns (declared in tty.h). A character is taken to be one column wide. */
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "libssi/base/tty.h"

#define GAP 2        /* blanks between columns */

struct cell {
	char *text;
	enum ssi_color color;
};

struct ssi_table {
	const struct ssi_column *columns;
	size_t n_columns;
	struct cell *cells;
	size_t n, cap;
};

struct ssi_table *ssi_table_new(const struct ssi_column *columns)
{
	struct ssi_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->columns = columns;
	while (columns[t->n_columns].head)
		t->n_columns++;
	return t;
}

void ssi_table_free(struct ssi_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		free(t->cells[i].text);
	free(t->cells);
	free(t);
}

void ssi_table_cell(struct ssi_table *t, enum ssi_color color, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	if (!t)
		return;
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 64;
		struct cell *cells = reallocarray(t->cells, cap, sizeof(*cells));

		if (!cells)
			return;
		t->cells = cells;
		t->cap = cap;
	}
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	t->cells[t->n++] = (struct cell){ text ? ssi_tty_clean(text, false) : NULL, color };
}

/* Characters, not bytes. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; s && *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void print_cell(const char *text, enum ssi_color color, bool colored, bool right, size_t pad, bool last, FILE *to)
{
	if (right)
		fprintf(to, "%*s", (int)pad, "");
	fprintf(to, "%s%s%s", ssi_tty_begin(color, colored), text, ssi_tty_end(color, colored));
	if (!last)
		fprintf(to, "%*s", (int)((right ? 0 : pad) + GAP), "");
}

/* cells NULL: the heads. */
static void print_row(const struct ssi_table *t, const struct cell *cells, const size_t *widths, bool colored, unsigned indent, FILE *to)
{
	size_t last = t->n_columns;

	while (last > 0 && !width(cells ? cells[last - 1].text : t->columns[last - 1].head))
		last--;
	if (last)
		fprintf(to, "%*s", (int)indent, "");
	for (size_t i = 0; i < last; i++) {
		const char *text = cells ? cells[i].text : t->columns[i].head;

		print_cell(text ? text : "", cells ? cells[i].color : SSI_BOLD, colored && (cells || *text), t->columns[i].right,
			   widths[i] - width(text), i + 1 == last, to);
	}
	fputc('\n', to);
}

void ssi_table_print(const struct ssi_table *t, FILE *to, unsigned indent)
{
	_cleanup_free_ size_t *widths = t ? calloc(t->n_columns, sizeof(*widths)) : NULL;
	bool heads = false, colored = ssi_tty_color(to);

	if (!widths)
		return;
	for (size_t i = 0; i < t->n_columns; i++) {
		widths[i] = width(t->columns[i].head);
		heads |= widths[i] > 0;
	}
	for (size_t i = 0; i < t->n; i++)
		if (width(t->cells[i].text) > widths[i % t->n_columns])
			widths[i % t->n_columns] = width(t->cells[i].text);
	if (heads)
		print_row(t, NULL, widths, colored, indent, to);
	for (size_t i = 0; i + t->n_columns <= t->n; i += t->n_columns)
		print_row(t, t->cells + i, widths, colored, indent, to);
}
