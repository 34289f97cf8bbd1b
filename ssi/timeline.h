/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A boot's stages, drawn: where the seconds went. */
#include <jansson.h>
#include <stdbool.h>

/* stages: [{"stage","start_ms","end_ms","tries"}], in order, counted from the request for the boot script; end_ms 0 or less than start_ms: not ended.
 * stopped: the last of these is where the boot failed, not where it is now. */
void timeline_print(const json_t *stages, bool stopped);
