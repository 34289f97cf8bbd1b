/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * "Did you mean ...?": the word that a mistyped one was most likely meant to be. Damerau's distance (optimal string
 * alignment: insert, drop, change, swap two neighbours), case aside; a third of the letters may be wrong.
 */
#include <stddef.h>

/* How many such steps lie between two words; words past 63 bytes are infinitely far. */
unsigned ssi_suggest_distance(const char *a, const char *b);
/* The nearest of n words (borrowed; NULL entries are passed over), or NULL when none is near. */
const char *ssi_suggest(const char *word, const char *const *among, size_t n);
