/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Words of a recipe, each with the line it stands on, so that a later step can say which line was wrong. */
#include <stdbool.h>
#include <stddef.h>
#include "libssi/base/cleanup.h"

struct list_word {
	char *text;
	unsigned line;          /* of the recipe; 0 = built in */
};
struct list {
	struct list_word *words;
	size_t n;
};

/* 0, or -ENOMEM with the list as it was. */
int list_add(struct list *l, const char *text, size_t len, unsigned line);
/* Every word of text, separated by blanks. */
int list_add_words(struct list *l, const char *text, unsigned line);
const struct list_word *list_find(const struct list *l, const char *text);     /* or NULL */
void list_sort(struct list *l);
void list_free(struct list *l);
#define _cleanup_list_ SSI_CLEANUP(list_free)
