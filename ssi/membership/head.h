/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The master's membership engine: who is joined in each system, and who is told. It keeps the nodes' states (libssi/model/nodestate),
 * their last sign of life, the views and the totals, and answers JOIN, HEARTBEAT and LEAVE. It stores nothing and writes no
 * log: each change goes to ops->changed. Nothing is linear in the number of nodes but telling them all of a change.
 *
 * The daemon, at start: ssi_head_new, then for every node of the registry ssi_head_set_node, then ssi_head_restore with what its
 * store knows, then ssi_ccm_listen. Afterwards: ssi_head_boot at each boot script it gives out, ssi_head_closed from its ccm closed().
 * The ccm userdata of nodes' connections is the engine's. Its ccm key() had better give the key of an older incarnation too, while it
 * still has it: the node is then let in, refused at its JOIN and told to reboot, instead of knocking for ever.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>
#include "libssi/comm/ccm.h"
#include "libssi/model/nodestate.h"
#include "ssi/boot/stage.h"
#include "ssi/membership/inventory.h"

#define SSI_HEAD_GRACE_MS 15000     /* after a start of the daemon, for nodes that were joined; */
#define SSI_HEAD_GRACE_EACH_MS 3    /* and for each node of the system so much more: they have to come in one after the other */

/* A node as the engine knows it; borrowed, read-only, valid until ssi_head_remove_node. Pointers stay the same over changes. */
struct ssi_head_node {
	char name[64], system[64];
	uint32_t number;
	struct in_addr address;
	enum ssi_nodestate state;
	enum ssi_nodehold hold;
	uint64_t incarnation;            /* the newest that was given out or joined; older ones are refused */
	uint64_t since_ms;               /* wall clock, of the last change of state */
	char reason[128];                /* of that change, "" if there is nothing to say */
	struct ssi_inventory inventory;   /* of the last join */
	uint64_t uptime_ms, mem_free;    /* of the last heartbeat */
	double load;
	void *userdata;                  /* the daemon's */
};

struct ssi_head_join {
	bool rejoin;                     /* it was joined with this incarnation before, and did not boot in between */
	bool update;                     /* it is joined, on this connection: only its inventory is another one */
	const struct ssi_inventory *was; /* its inventory before */
	const struct ssi_boot_stage *stages; size_t n_stages;   /* of its boot */
};

struct ssi_head_ops {
	/* May be NULL: monotonic and wall clock in ms (tests bring their own). */
	uint64_t (*mono)(void *userdata);
	uint64_t (*wall)(void *userdata);
	/* May be NULL: how often the master's own link to this system has come up; 0: not known. Asked before somebody is judged: if it came up since the last time,
	 * everyone has half of detach_ms more from there. */
	uint64_t (*link_ups)(const char *system, void *userdata);
	/*
	 * A node's state has changed or (SSI_EVENT_JOIN with join->rejoin, from a state that was joined) it came back; n is up to date, before
	 * is the state before. join is set for SSI_EVENT_JOIN only. Store it before returning: the node's answer and the view follow it.
	 */
	void (*changed)(const struct ssi_head_node *n, enum ssi_nodestate before, enum ssi_nodeevent ev, const struct ssi_head_join *join,
			void *userdata);
	/* A JOIN that was refused; the node has been told, and reboots. */
	void (*refused)(struct ssi_ccm_conn *c, const char *text, void *userdata);
};

struct ssi_head;
/* Registers its rules with m. ops is borrowed. Its timers are on event and are armed only while something is to be timed. */
int ssi_head_new(sd_event *event, struct ssi_ccm *m, const struct ssi_head_ops *ops, void *userdata, struct ssi_head **ret);
void ssi_head_free(struct ssi_head *h);

/* Enter a system or change its times. -ENOMEM. view: the number to go on from (stored by the daemon), used when the system is new. */
int ssi_head_set_system(struct ssi_head *h, const char *system, uint32_t heartbeat_ms, uint32_t detach_ms, uint64_t view);
/* Enter a node (state off) or change its number, system and address; its state stays. -ENOENT: no such system. */
int ssi_head_set_node(struct ssi_head *h, const char *name, const char *system, uint32_t number, struct in_addr address, struct ssi_head_node **ret);
void ssi_head_remove_node(struct ssi_head *h, const char *name);   /* its connection is closed */
/* What the store knows of a node, at start. changed() is not called. joined and suspect become suspect, with the grace to be heard of. */
int ssi_head_restore(struct ssi_head *h, const char *name, enum ssi_nodestate state, uint64_t incarnation, uint64_t since_ms, const char *reason,
		     const struct ssi_inventory *inventory);

/* A boot script with this incarnation was given out: the node is booting; what is left of an older incarnation is closed. -ENOENT, -ESTALE. */
int ssi_head_boot(struct ssi_head *h, const char *name, uint64_t incarnation);
int ssi_head_boot_failed(struct ssi_head *h, const char *name, uint64_t incarnation, const char *text);
/* The node's machine was taken from it or powered off in order: it is off from now, its incarnation over. */
int ssi_head_off(struct ssi_head *h, const char *name, const char *reason);
/* What an administrator has decided about a node; told to everyone if it is a member. 1 if it is another decision, 0 if not, -ENOENT. The node's state stays. */
int ssi_head_set_hold(struct ssi_head *h, const char *name, enum ssi_nodehold hold);
/* Out of the view at once: its incarnation is over, which it is told (it reboots), and what waited for it ends. -ENOENT. */
int ssi_head_detach(struct ssi_head *h, const char *name, const char *reason);
/*
 * Fencing (doc/fencing.md). fence: out of the view at once, whatever it was; its incarnation is over, which it is told if it is connected. fenced: off from now;
 * fence_failed: detached, with the reason. The latter two mean nothing to a node that is not fencing. -ENOENT.
 */
int ssi_head_fence(struct ssi_head *h, const char *name, const char *reason);
int ssi_head_fenced(struct ssi_head *h, const char *name, const char *reason);
int ssi_head_fence_failed(struct ssi_head *h, const char *name, const char *reason);
/* It may come in again, with a new incarnation. -ENOENT. */
int ssi_head_accept(struct ssi_head *h, const char *name);
/* Tell a node to reboot or to power off. -ENOENT, -ENOTCONN. */
enum ssi_head_order { SSI_HEAD_REBOOT = 1, SSI_HEAD_POWEROFF = 2 };
int ssi_head_order(struct ssi_head *h, const char *name, enum ssi_head_order what, const char *reason);

/* From the daemon's closed() of ccm, for every connection. Its silence is not yet a detach. */
void ssi_head_closed(struct ssi_head *h, struct ssi_ccm_conn *c);

const struct ssi_head_node *ssi_head_node(const struct ssi_head *h, const char *name);   /* NULL if there is none */
struct ssi_ccm_conn *ssi_head_conn(const struct ssi_head *h, const char *name);           /* of a joined node, or NULL */
/* Kept up to date, not counted on demand. cpus, memory and devices are those of joined and suspect nodes. */
struct ssi_head_totals { unsigned by_state[SSI_NODE_STATES]; unsigned nodes, drained; uint64_t cpus, memory, nics, accelerators, view; };
int ssi_head_totals(const struct ssi_head *h, const char *system, struct ssi_head_totals *ret);   /* -ENOENT */
