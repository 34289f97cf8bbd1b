/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Shared file systems (doc/shared.md): which this master has to export and to whom, whether their folders are there, and the users' files that go with
 * them. What exports them is exports.c.
 */
#include "bootsvc/daemon.h"
#include "libssi/model/shared.h"

/* A text of nodes.d in its shortest form, for the store. */
void shared_text(const char *text, char ret[STATE_SHARED]);
/* What is shared: what systems of nodes.d say (not with running), and what nodes that are not off have mounted. */
typedef void (*shared_used_fn)(const struct ssi_shared *s, const struct ssi_system *system, void *userdata);
void shared_used(struct daemon *d, bool running, shared_used_fn fn, void *userdata);
/* Are all folders there? -ENOENT, and a line for each that is not in errors: which system, and where nodes.d says it. */
int shared_look(const struct ssi_registry *r, struct ssi_buf *errors);
/* People's entries of this host's passwd and group, without passwords, into DIR/users/passwd and DIR/users/group, where nodes fetch them. 0 or -errno. */
int shared_users(const char *dir, struct ssi_err *e);
