/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What a child does for the iSCSI targets, and how it tells what it saw. */
#include <netinet/in.h>
#include "bootsvc/targets-plan.h"

#define TARGETS_SEEN_ALL "."             /* the last line of what was seen; without it, not all was */

struct targets_job {
	const struct target_items *wanted;       /* NULL: only look */
	bool hang_up;                            /* on gone; and if that is NULL, on everybody */
	const struct in_addr *gone;
	size_t n_gone;
};

/* Hang up, take the steps, look, and write what there is to the descriptor seen. May wait for long: in a child only. 0, or -errno and in e the first thing that failed. */
int targets_steps_take(const struct targets_job *j, int seen, struct ssi_err *e);
/* Read that: 0; -EAGAIN: it is not all; -ENOMEM. ret is the caller's to free, and was empty. */
int targets_steps_seen(int seen, struct target_items *ret);
