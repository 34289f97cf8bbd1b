/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What is asked of a node about one of its processes, by way of the daemon: blocking, a connection for each. All return 0 or -errno as of the system call
 * that is meant; -EHOSTDOWN when the daemon cannot be reached. */
#include <stdint.h>
#include <sys/types.h>

#define ACT_MASK 16                      /* words of a node's mask */
#define ACT_MASK_HERE 1024               /* words of a mask of the whole system */
struct act_caller { uid_t uid; };        /* as whom it is asked */

/* dir: RUN/view; the daemon's socket lies beside it. */
int act_signal(const char *dir, const struct act_caller *c, uint32_t pid, int sig);
int act_nice(const char *dir, const struct act_caller *c, uint32_t pid, int nice);
int act_set_affinity(const char *dir, const struct act_caller *c, uint32_t pid, const uint64_t *mask);
int act_get_affinity(const char *dir, const struct act_caller *c, uint32_t pid, uint64_t *ret_mask);
