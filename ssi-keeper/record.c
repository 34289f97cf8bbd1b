/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the job's files that others read, see keeper.h. They lie in memory (/run): written beside and renamed, not synced. Called wherever what is known of
 * the job changes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/fd.h"
#include "ssi-keeper/keeper.h"

int record_write(const struct keeper *k, const char *name, const void *p, size_t n)
{
	_cleanup_close_ int fd = -1;
	char young[128], path[128];
	int r;

	snprintf(path, sizeof(path), "%s/%s", k->dir, name);
	snprintf(young, sizeof(young), "%s/%s.new", k->dir, name);
	fd = open(young, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : ssi_fd_write_all(fd, p, n);
	return r < 0 ? r : rename(young, path) < 0 ? -errno : 0;
}

void record_exit(struct keeper *k)
{
	_cleanup_free_ uint8_t *buf = NULL;

	k->exit.usage = &k->usage;
	k->exit.text = k->text;
	k->exit.ends = k->ends_of;
	k->exit.n_ends = 0;
	for (size_t i = 0; i < 3; i++) {
		if (i == KEEPER_RES && !k->spec->result[0])
			continue;
		ssi__job__ack__init(&k->ends[i]);
		k->ends[i].stream = k->out[i].stream;
		k->ends[i].offset = k->out[i].produced;
		k->ends_of[k->exit.n_ends++] = &k->ends[i];
	}
	if (k->read != UINT64_MAX) {
		ssi__job__ack__init(&k->ends[3]);
		k->ends[3].offset = k->read;
		k->ends_of[k->exit.n_ends++] = &k->ends[3];
	}
	k->exit.ended_ms = ssi_clock_wall_ms();
	buf = malloc(ssi__job__exit__get_packed_size(&k->exit));
	if (buf)
		record_write(k, "exit", buf, ssi__job__exit__pack(&k->exit, buf));
}
