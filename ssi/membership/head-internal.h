/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What the files of the membership engine know of each other: head.c (nodes, states, what the daemon calls), head-table.c (names),
 * head-due.c (deadlines), head-view.c (totals, telling of changes), head-reply.c (what who joins is told), head-msg.c (what nodes say).
 */
#include <sys/queue.h>
#include "ssi/membership/head.h"

struct head_system;

struct head_node {
	struct ssi_head_node pub;            /* first: what the daemon sees is the node */
	struct head_system *sys;
	struct ssi_ccm_conn *conn;           /* of a joined node, while it lasts */
	struct head_node *chain;             /* in the table of names */
	TAILQ_ENTRY(head_node) link;         /* in its system */
	uint64_t changed;                    /* the view in which it changed last; over the system's told: it is to be told of */
	uint64_t told;                       /* its ssi_view_facts as members know them, 0: they know no such member */
	enum ssi_nodestate told_state;
	bool over;                           /* it said goodbye, or was taken off: its incarnation does not come back */
	uint64_t heard;                      /* monotonic ms of its last sign of life */
	uint64_t said;                       /* and of ours to it */
	uint64_t grace;                      /* not detached before: it was joined when we started, and is on its way back */
	uint64_t due;                        /* when it is looked at next; only while slot is not 0 */
	size_t slot;
};
TAILQ_HEAD(head_nodes, head_node);

#define HEAD_PAST 64
struct head_past { uint64_t number, digest; };

struct head_system {
	char name[64];
	uint32_t heartbeat_ms, detach_ms;
	struct ssi_head_totals totals;
	uint64_t told;                       /* the view everyone was told of */
	uint64_t digest;                     /* of the view as told (ssi_view_share) */
	struct head_past past[HEAD_PAST];    /* what was told before: a ring */
	unsigned n_past;                     /* told ever since the last that cannot be built on */
	struct ssi_ccm_body *whole;          /* the view that everyone was told of, packed; NULL: to be made when asked for */
	struct head_nodes nodes;             /* in the order in which they changed */
	uint64_t link_ups, link_asked, link_back;   /* of the master's own link: as counted when somebody was judged last; when that was; when it was seen to be back */
	TAILQ_ENTRY(head_system) link;
};

/* Names to nodes. */
struct head_table { struct head_node **slots; size_t n_slots, n; };
struct head_node *head_table_find(const struct head_table *t, const char *name);
int head_table_add(struct head_table *t, struct head_node *n);        /* 0 or -ENOMEM */
void head_table_remove(struct head_table *t, struct head_node *n);
void head_table_free(struct head_table *t);

/* Deadlines, earliest first. A node is in it at most once. */
struct head_due { struct head_node **heap; size_t n, cap; };
int head_due_set(struct head_due *d, struct head_node *n, uint64_t due);   /* enter or move; 0 or -ENOMEM */
void head_due_clear(struct head_due *d, struct head_node *n);
struct head_node *head_due_first(const struct head_due *d);               /* NULL: nothing is to be timed */
void head_due_free(struct head_due *d);

struct ssi_head {
	sd_event *event;
	struct ssi_ccm *ccm;
	const struct ssi_head_ops *ops;
	void *userdata;
	struct head_table table;
	struct head_due due;
	TAILQ_HEAD(, head_system) systems;
	sd_event_source *timer, *teller;
	uint64_t armed;                      /* what the timer is set to, 0 = it is off */
	uint64_t quiet_until;                /* the next telling, not before: it took a while */
};

static inline bool head_is_member(enum ssi_nodestate s)
{
	return s == SSI_NODE_JOINED || s == SSI_NODE_SUSPECT;
}

uint64_t head_now(const struct ssi_head *h);
/* An event of a node: its state, deadline, totals and view follow; then changed() is called. */
void head_event(struct ssi_head *h, struct head_node *n, enum ssi_nodeevent ev, const char *reason, const struct ssi_head_join *join);
/* What the timer does; tests call it after they moved their clock. */
void head_tick(struct ssi_head *h);
/* Tell a connection to reboot or power off. */
int head_send_order(struct ssi_ccm_conn *c, enum ssi_head_order what, const char *reason);

/* The totals without n, and with it. */
void head_count(struct head_node *n, int sign);
/* n may not be what its system was told of it: they will be, a little later, together with what else happens until then. */
void head_view_touch(struct ssi_head *h, struct head_node *n);
void head_view_tell(struct ssi_head *h, struct head_system *s);      /* now */
/* n is there as if it had been told of in this state. */
void head_view_assume(struct head_node *n, enum ssi_nodestate state);
uint64_t head_view_facts(const struct head_node *n);                 /* its ssi_view_facts, 0 when it is no member */
/* A member as it is told; its strings are n's. */
struct Ssi__Membership__Member;
void head_view_member(struct Ssi__Membership__Member *m, const struct head_node *n);
/* What was packed is not what is told any more; what was told before cannot be built on. */
void head_reply_stale(struct head_system *s);
void head_reply_forget(struct head_system *s);
/*
 * JOIN_REPLY: refused with a reason; or accepted, with the view that all were told of last and n itself. Who holds a view that is remembered
 * (its number, and the digest of what it knows) gets what changed since; it need not have got it from us. update: to who is joined
 * already, without a view. 0 or -errno.
 */
int head_reply_accept(struct ssi_ccm_conn *c, uint64_t sequence, const struct head_node *n, uint64_t view, uint64_t digest);
int head_reply_update(struct ssi_ccm_conn *c, uint64_t sequence, const struct head_node *n);
int head_reply_refuse(struct ssi_ccm_conn *c, uint64_t sequence, const char *reason);

/* Register JOIN, HEARTBEAT and LEAVE. */
int head_msg_register(struct ssi_head *h);
