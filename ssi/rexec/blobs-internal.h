/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the parts of the blobs' folder share: blobs.c (what is there, room, pins), blobs-write.c (how one comes in). */
#include "ssi/rexec/blobs.h"

struct ssi_blobs {
	char *path;
	int dir, lock;               /* descriptors of the folder, and of its lock file: whoever makes room has it alone, whoever pins shares it */
	uint64_t limit;
};

int blobs_lock(const struct ssi_blobs *b, int how, struct ssi_err *e);       /* flock(2)'s */
void blobs_unlock(const struct ssi_blobs *b);
/* With the lock held alone: could size more be beside what is in use? Nothing goes for it. As ssi_blobs_write. */
int blobs_may(const struct ssi_blobs *b, uint64_t size, struct ssi_err *e);
/* With the lock held alone: until size more fit below the limit; all: everything that is not in use goes. */
int blobs_room(const struct ssi_blobs *b, uint64_t size, bool all, struct ssi_err *e);
/* With the lock shared or alone. As ssi_blobs_pin. */
int blobs_pin(const struct ssi_blobs *b, const char *hex, const char *dir, struct ssi_err *e);
