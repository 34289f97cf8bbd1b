/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* One connection through the proxy: its two sockets, what is under way in each direction, and its fate. For proxy.c alone. */
#include <poll.h>
#include <stdbool.h>
#include "tests/chaos/proxy.h"

/* What the proxy's connections share. */
struct chaos {
	struct chaos_plan plan;
	struct chaos_stats stats;
	uint64_t random;
};

struct pair;

/* Of an accepted connection (fd is owned from now); NULL when the other side cannot be connected to, or memory is out. */
struct pair *pair_new(struct chaos *c, int fd);
void pair_free(struct pair *p);                          /* NULL is fine; resets what is open */
/* What to poll its two sockets for; the milliseconds to wait at most, given those of others (-1: for ever). */
int pair_interest(struct pair *p, struct pollfd fds[2], int wait_ms);
/* Read, harm, write. False: it is over. *ret_again is another connection that follows from it (a replay), or stays as it is. */
bool pair_turn(struct pair *p, struct chaos *c, const struct pollfd fds[2], struct pair **ret_again);
