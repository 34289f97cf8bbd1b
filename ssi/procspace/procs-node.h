/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What a node tells of its processes (doc/wire.md, module 5, type 2): the difference between what there is and what was told, bounded. Births and ends are
 * told first; what processes use follows as there is room, one after the other in turn. Pure: the agent reads /proc and sends.
 */
#include <stdbool.h>
#include <stddef.h>
#include "libssi/base/buf.h"
#include "libssi/model/proctable.h"

#define SSI_PROCS_MESSAGE_MAX (64u << 10)    /* bytes of a message */
#define SSI_PROCS_USE_MAX (2u << 10)         /* and of it for what processes use */
#define SSI_PROCS_MAX 32768                  /* processes of a node; those with higher numbers are not told */

/* cmdline is borrowed; as in /proc/PID/cmdline, it ends with a NUL or is empty. */
struct ssi_procs_seen { struct ssi_process p; const char *cmdline; size_t cmdline_len; };

struct ssi_procs_told;
struct ssi_procs_told *ssi_procs_told_new(void);                 /* NULL: out of memory */
void ssi_procs_told_free(struct ssi_procs_told *t);
void ssi_procs_told_anew(struct ssi_procs_told *t);              /* nothing was told: the message to come begins anew */
/*
 * seen: by pid. The next message is appended to ret, which is empty; it counts as told (if it is lost, ssi_procs_told_anew). 1: since it began anew not
 * all was told yet, so there is more to tell at once; 0; -ENOMEM.
 */
int ssi_procs_tell(struct ssi_procs_told *t, const struct ssi_procs_seen *seen, size_t n, uint64_t boot_ms, struct ssi_buf *ret);
