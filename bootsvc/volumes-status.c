/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a state volume is, for showing it: what the store says, what its file says, and what is being done to it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "bootsvc/volumes-internal.h"
#include "libssi/base/cleanup.h"

static uint64_t bytes_of(const char *path)
{
	struct stat st;

	return path && stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

uint64_t volumes_snapshot_used(struct daemon *d, const struct state_snapshot *p)
{
	_cleanup_free_ char *path = volume_snapshot_path(d->volumes, p);

	return bytes_of(path);
}

static const char *status_of(struct volumes *v, const struct state_volume *row, struct volume_status *s)
{
	struct volume_super super;
	struct ssi_err e;

	if (!row->made) {
		snprintf(s->text, sizeof(s->text), "%s", row->trouble);
		return "making";
	}
	if (volume_look(v, row, &super, &e) < 0) {
		snprintf(s->text, sizeof(s->text), "%.255s", e.text);
		return e.code == -ENOENT ? "missing" : "damaged";
	}
	if (row->trouble[0]) {
		snprintf(s->text, sizeof(s->text), "%s", row->trouble);
		return "damaged";
	}
	if (strcmp(row->decision, "ask") == 0) {
		snprintf(s->text, sizeof(s->text), "written over %.19s, to be booted is %.19s: 'ssi node state accept %s keep' or 'fresh'", row->generation,
			 row->decided_for, row->node);
		return "asks";
	}
	if (row->taker)
		return "waits";
	if (super.closed == VOLUME_CLOSED)
		return "closed";
	return row->incarnation ? "open" : super.closed == VOLUME_OPEN ? "unclean" : "closed";
}

void volumes_status(struct daemon *d, const struct state_volume *row, struct volume_status *ret)
{
	struct volumes *v = d->volumes;
	struct volume_work *w = volumes_work(v, row->node);
	_cleanup_free_ char *path = volume_path(v, row);

	*ret = (struct volume_status){ .used = bytes_of(path) };
	ret->state = status_of(v, row, ret);
	if (!w)
		return;
	snprintf(ret->text, sizeof(ret->text), "%s", w->doing);
	ret->copied = w->tmp && w->from ? bytes_of(w->tmp) : 0;
	ret->to_copy = w->tmp && w->from ? bytes_of(w->from) : 0;
	ret->state = row->made ? "busy" : "making";
}
