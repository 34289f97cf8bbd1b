/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A node's state file system stands still (FIFREEZE): the node's program node-freeze does it, over remote execution. It lets go when its input ends, and by itself
 * when its time is over or the connection is gone, so nothing that becomes of the master leaves a node standing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bootsvc/volumes-internal.h"
#include "libssi/base/cleanup.h"

#define FREEZE_PROGRAM "/usr/libexec/ssi/node-freeze"    /* where an image has it */
#define FREEZE_FOLDER "/run/ssi/root/rw"                 /* ssi-init/boot.h: BOOT_RW */

struct volume_freeze {
	struct ssi_rexec_call *call;
	char words[256];                 /* what it says on its standard output and error */
	size_t n;
	bool frozen;
	volume_freeze_fn fn;
	void *userdata;
};

static void on_output(struct ssi_rexec_call *call, int fd, const void *p, size_t n, void *userdata)
{
	struct volume_freeze *f = userdata;
	size_t room = sizeof(f->words) - 1 - f->n, take = n < room ? n : room;

	memcpy(f->words + f->n, p, take);
	f->n += take;
	f->words[f->n] = '\0';
	ssi_rexec_consumed(call, n);
	if (f->frozen || strncmp(f->words, "frozen\n", 7) != 0)
		return;
	f->frozen = true;
	f->fn(f, true, 0, NULL, f->userdata);
}

/* Its last line. */
static const char *freeze_words(struct volume_freeze *f)
{
	char *line;

	while ((line = strrchr(f->words, '\n')) && !line[1])
		*line = '\0';
	return line ? line + 1 : f->words;
}

static void on_exited(struct ssi_rexec_call *call, const struct ssi_rexec_exit *x, void *userdata)
{
	struct volume_freeze *f = userdata;
	struct ssi_err e = { 0 };
	int r = 0;

	if (x->error[0])
		r = ssi_errf(&e, -EIO, "its file system could not be made to stand still: %.120s", x->error);
	else if (x->status || x->signal)
		r = ssi_errf(&e, -EIO, "%.200s", f->n ? freeze_words(f) : "its file system could not be made to stand still");
	f->fn(f, false, r, &e, f->userdata);
	free(f);
}

static const struct ssi_rexec_ops ops = { on_output, on_exited, NULL };

int volume_freeze(struct daemon *d, const char *node, unsigned limit_s, volume_freeze_fn fn, void *userdata, struct volume_freeze **ret, struct ssi_err *e)
{
	struct ssi_ccm_conn *c = ssi_head_conn(d->head, node);
	struct volume_freeze *f;
	char limit[16];
	int r;

	if (!c)
		return ssi_errf(e, -ENOTCONN, "it has not come back since the daemon started: its file system cannot be made to stand still");
	f = calloc(1, sizeof(*f));
	if (!f)
		return ssi_errno(e, -ENOMEM, "%s", node);
	f->fn = fn;
	f->userdata = userdata;
	snprintf(limit, sizeof(limit), "%u", limit_s);
	r = ssi_rexec_start(d->rexec, c, (char *[]){ FREEZE_PROGRAM, FREEZE_FOLDER, limit, NULL }, NULL, NULL, 0, &ops, f, &f->call, e);
	if (r < 0) {
		free(f);
		return r;
	}
	*ret = f;
	return 0;
}

void volume_thaw(struct volume_freeze *f)
{
	ssi_rexec_input(f->call, NULL, 0);
}

void volume_freeze_end(struct volume_freeze *f)
{
	if (!f)
		return;
	if (f->call)
		ssi_rexec_cancel(f->call);
	free(f);
}
