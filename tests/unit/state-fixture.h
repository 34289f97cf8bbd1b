/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A store in a folder of its own, that a test opens, and opens again. For test-state*.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bootsvc/events.h"
#include "bootsvc/state.h"
#include "libssi/base/path.h"

#define M1 "52:54:00:00:00:01"
#define M2 "52:54:00:00:00:02"

static char dir[64];

static inline struct state *reopen(struct state *s)
{
	struct ssi_err e;

	state_close(s);
	s = NULL;
	if (state_open(dir, &s, &e) < 0)
		fail_msg("%s", e.text);
	return s;
}

static inline int setup(void **state)
{
	strcpy(dir, "/tmp/ssi-state-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static inline int teardown(void **state)
{
	return ssi_path_rmtree(dir);
}

static inline uint64_t arm(struct state *s, const char *node, const char *mac)
{
	struct state_boot b = { .armed = 1000, .image = "compute", .generation = "sha256-1", .root = "nfs" };
	struct ssi_err e;

	strcpy(b.node, node);
	strcpy(b.mac, mac);
	if (state_boot_arm(s, &b, &e) < 0)
		fail_msg("%s", e.text);
	return b.incarnation;
}
