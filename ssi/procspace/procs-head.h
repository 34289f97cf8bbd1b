/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The processes of all nodes, the master's side (doc/wire.md, module 5): what they told last, under the numbers of the merged system (doc/pids.md), and
 * acting on one of them. What a node told is kept while it is away; whether it counts says the daemon. Bounded for each node: SSI_PROCS_MAX processes, 8 MiB
 * of command lines.
 */
#include <sys/types.h>
#include "libssi/base/buf.h"
#include "libssi/comm/ccm.h"
#include "libssi/model/proctable.h"

enum ssi_procs_known { SSI_PROCS_HIDDEN, SSI_PROCS_SHOWN, SSI_PROCS_SILENT };    /* silent: as it was last, in state D */

struct ssi_procs_ops {
	uint64_t (*wall)(void *userdata);                        /* ms */
	/* Does the node count now? name and system are to be filled where it does. */
	enum ssi_procs_known (*known)(const char *node, const char **ret_system, void *userdata);
	void (*told)(void *userdata);    /* a node has told something */
	/* May be NULL: is the job of this number on that node? A node's claim that is not so is passed over. */
	bool (*job)(uint32_t number, const char *node, void *userdata);
};

struct ssi_procs;
int ssi_procs_new(struct ssi_ccm *m, const struct ssi_procs_ops *ops, void *userdata, struct ssi_procs **ret);   /* registers its rules */
void ssi_procs_free(struct ssi_procs *p);                        /* what was asked for is not answered any more; NULL is fine */
void ssi_procs_closed(struct ssi_procs *p, struct ssi_ccm_conn *c);      /* from closed() of ccm, for every connection */
/* The table that a daemon before this one wrote: its numbers go on being those of the processes that nodes still have. */
void ssi_procs_restore(struct ssi_procs *p, const struct ssi_proctable *t);
/* RUN/view/processes: all processes of the nodes that count. Nodes that do not are forgotten. Appended to ret, which is empty; 0 or -errno. */
int ssi_procs_table(struct ssi_procs *p, struct ssi_buf *ret);

/* --- acting on a process --- */
struct ssi_procs_act {
	enum { SSI_ACT_SIGNAL, SSI_ACT_NICE, SSI_ACT_AFFINITY, SSI_ACT_GET_AFFINITY } what;
	uint32_t pid;                    /* of the merged system */
	uid_t uid;                       /* who asks; 0 may all */
	int value;                       /* the signal or the nice value */
	const uint64_t *mask; size_t n_mask;     /* processors of the node */
};
#define SSI_PROCS_MASK 16                /* words of a mask: 1024 processors */
/* error: 0 or -errno as of the system call, -EHOSTDOWN when the node was lost meanwhile. mask: of GET_AFFINITY. */
typedef void (*ssi_procs_acted)(int error, const uint64_t *mask, size_t n_mask, void *userdata);
/*
 * Ask the node. conn: its session (ssi_head_conn) by the name that ssi_procs_node_of gave. -ESRCH: no such process; -EPERM: it is another user's (as kill(2)
 * judges; the node judges again); acted() is called later, once, unless the result is negative.
 */
const char *ssi_procs_node_of(const struct ssi_procs *p, uint32_t pid);          /* NULL: no such process. Valid until the loop goes on */
int ssi_procs_act(struct ssi_procs *p, struct ssi_ccm_conn *conn, const struct ssi_procs_act *a, ssi_procs_acted acted, void *userdata);
void ssi_procs_act_forget(struct ssi_procs *p, void *userdata);          /* acted() is not called any more for what this userdata asked */
