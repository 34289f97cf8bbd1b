/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words in a string. Called where a table says which values there are: options (cmd.c) and configuration keys (model/conf.c). */
#include <string.h>
#include "libssi/base/words.h"

bool ssi_words_has(const char *list, const char *word)
{
	size_t n = strlen(word), len;

	for (list += strspn(list, " "); *list; list += len + strspn(list + len, " ")) {
		len = strcspn(list, " ");
		if (len == n && !strncmp(list, word, n))
			return true;
	}
	return false;
}
