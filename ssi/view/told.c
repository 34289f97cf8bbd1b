/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Of each number what the kernel has of its files: the time of change that goes with their text (tree-remote.c). It is told by messages that it deals with at
 * once and that concern attributes alone: nothing waits there for a page that somebody reads, whose reader waits for us.
 */
#include <errno.h>
#include <stdlib.h>
#include "ssi/view/told.h"

enum { FILES = 5 };                      /* the first ones of tree-remote.c, which change; 0: it has none */
struct told_process { uint64_t sum; uint32_t file[FILES]; bool again; };

int told_open(struct told *t)
{
	t->of = calloc(SSI_PID_END, sizeof(*t->of));     /* untouched memory costs nothing */
	return t->of ? 0 : -ENOMEM;
}

void told_close(struct told *t)
{
	free(t->of);
	*t = (struct told){ 0 };
}

static struct told_process *process(const struct told *t, const struct vnode *v)
{
	return v->kind == VIEW_RFILE && v->name < FILES && v->a < SSI_PID_END ? &t->of[v->a] : NULL;
}

void told_attr(struct told *t, const struct view *w, const struct vnode *v, const struct stat *st)
{
	struct told_process *p = process(t, v);
	const struct ssi_proctable_process *now = p ? snapshot_process(&w->snap, v->a) : NULL;

	if (!now)
		return;
	p->sum = remote_sum(w, now);
	p->file[v->name] = (uint32_t)st->st_mtim.tv_nsec + 1;
}

void told_forget(struct told *t, const struct vnode *v)
{
	struct told_process *p = process(t, v);

	if (p)
		p->file[v->name] = 0;
}

/* The kernel may not have what it was told yet: then it is told again with the next table. */
static void check(struct told_process *p, struct fuse_session *se, struct view *w, const struct vnode *v)
{
	struct stat st;

	if (view_attr(w, v, &st) == 0 && p->file[v->name] == (uint32_t)st.st_mtim.tv_nsec + 1)
		return;
	if (fuse_lowlevel_notify_inval_inode(se, view_ino(v), -1, 0) == 0)
		p->file[v->name] = 0;
	else
		p->again = true;
}

static void look_at(struct told_process *p, struct fuse_session *se, struct view *w, const struct ssi_proctable_process *now)
{
	uint32_t any = 0;
	uint64_t sum;

	for (int i = 0; i < FILES; i++)
		any |= p->file[i];
	sum = any ? remote_sum(w, now) : 0;
	if (!any || (sum == p->sum && !p->again))
		return;
	p->sum = sum;
	p->again = false;
	for (uint32_t i = 0; i < FILES; i++)
		if (p->file[i])
			check(p, se, w, &(struct vnode){ VIEW_RFILE, now->pid, 0, i });
}

void told_look(struct told *t, struct fuse_session *se, struct view *w)
{
	const struct ssi_proctable *table = &w->snap.table;

	if (t->taken == w->snap.taken)
		return;
	t->taken = w->snap.taken;
	for (uint32_t i = 0; table->head && i < table->head->n && table->processes[i].pid < SSI_PID_END; i++)
		look_at(&t->of[table->processes[i].pid], se, w, &table->processes[i]);
}

void told_anew(struct fuse_session *se, const struct view *w)
{
	const struct ssi_proctable *table = &w->snap.table;

	for (uint32_t i = 0; table->head && i < table->head->n; i++)
		for (uint32_t k = 0; k < FILES; k++)
			fuse_lowlevel_notify_inval_inode(se, view_ino(&(struct vnode){ VIEW_RFILE, table->processes[i].pid, 0, k }), -1, 0);
}
