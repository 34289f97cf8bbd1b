/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Text that came over the wire, made fit for a log, an event or a terminal. */
#include <stddef.h>

/* Copy at most n - 1 bytes, whole characters; control characters (C0, DEL, C1) and what is not UTF-8 become '?'. NULL counts as "". Returns dst. */
char *ssi_text_copy(char *dst, size_t n, const char *src);
