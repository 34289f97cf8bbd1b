/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What the kernel was told of the files of remote processes, so that it is told when they say something else. It keeps their attributes for a minute and their
 * texts as long as those are the same, and asks for neither an open nor a read meanwhile.
 */
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include "ssi/view/view.h"

struct told_process;
struct told { struct told_process *of; uint64_t taken; };

int told_open(struct told *t);                   /* 0 or -ENOMEM */
void told_close(struct told *t);
void told_attr(struct told *t, const struct view *w, const struct vnode *v, const struct stat *st);    /* it is about to have these attributes of v */
void told_forget(struct told *t, const struct vnode *v);                                               /* it has v no more */
/* Tables may be new: it is to ask again about what is another now. To be called before anything is answered out of them. */
void told_look(struct told *t, struct fuse_session *se, struct view *w);
/* What it was told by another program is not known: it is to ask about everything. */
void told_anew(struct fuse_session *se, const struct view *w);
