/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Closed lists in tables, as one string of words with blanks between: "server proxy". */
#include <stdbool.h>

bool ssi_words_has(const char *list, const char *word);
