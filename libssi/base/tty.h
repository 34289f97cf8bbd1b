/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What people read: colours on a terminal only, aligned columns, and text from elsewhere that cannot play tricks on a terminal. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include "libssi/base/cleanup.h"

enum ssi_color { SSI_PLAIN, SSI_BOLD, SSI_DIM, SSI_RED, SSI_GREEN, SSI_YELLOW, SSI_CYAN };

/* Colours for f? A terminal, TERM not "dumb", NO_COLOR not set (no-color.org). */
bool ssi_tty_color(FILE *f);
/* Escape sequences, "" when on is false. */
const char *ssi_tty_begin(enum ssi_color c, bool on);
const char *ssi_tty_end(enum ssi_color c, bool on);
/* Change control characters (C0, DEL, and C1 in UTF-8) to '?', in place; returns s. Tabs too; keep_newline leaves '\n' alone. */
char *ssi_tty_clean(char *s, bool keep_newline);

/* A table: rows of cells under heads. A cell that cannot be stored is left empty. */
struct ssi_column { const char *head; bool right; };     /* ends with a NULL head; head "" has a column and no title */
struct ssi_table;
struct ssi_table *ssi_table_new(const struct ssi_column *columns);       /* borrowed, for the table's life; NULL: out of memory */
void ssi_table_free(struct ssi_table *t);
static inline void ssi_table_freep(struct ssi_table **t) { ssi_table_free(*t); }
#define _cleanup_table_ SSI_CLEANUP(ssi_table_freep)
/* The next cell; after the last column the next row begins. Cleaned as by ssi_tty_clean. NULL is fine for t. */
void ssi_table_cell(struct ssi_table *t, enum ssi_color color, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Print with indent blanks in front of each line, two between columns, none at the end of a line; heads only when any is not "". */
void ssi_table_print(const struct ssi_table *t, FILE *to, unsigned indent);
