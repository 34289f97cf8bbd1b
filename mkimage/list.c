/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists of words. Called by the recipe parser and by the steps that collect names; searching is linear, for lists are short. */
#include <errno.h>
#include <string.h>
#include "mkimage/list.h"

int list_add(struct list *l, const char *text, size_t len, unsigned line)
{
	struct list_word *w = reallocarray(l->words, l->n + 1, sizeof(*w));
	char *copy = strndup(text, len);

	if (w)
		l->words = w;
	if (!w || !copy) {
		free(copy);
		return -ENOMEM;
	}
	w[l->n++] = (struct list_word){ copy, line };
	return 0;
}

int list_add_words(struct list *l, const char *text, unsigned line)
{
	int r = 0;

	for (text += strspn(text, " \t"); *text && r == 0; text += strspn(text, " \t")) {
		size_t n = strcspn(text, " \t");

		r = list_add(l, text, n, line);
		text += n;
	}
	return r;
}

const struct list_word *list_find(const struct list *l, const char *text)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->words[i].text, text))
			return &l->words[i];
	return NULL;
}

static int list_compare(const void *a, const void *b)
{
	return strcmp(((const struct list_word *)a)->text, ((const struct list_word *)b)->text);
}

void list_sort(struct list *l)
{
	if (l->n)
		qsort(l->words, l->n, sizeof(*l->words), list_compare);
}

void list_free(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->words[i].text);
	free(l->words);
	*l = (struct list){ 0 };
}
