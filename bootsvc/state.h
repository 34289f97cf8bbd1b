/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What the daemon knows and must not forget: machines, bindings, incarnations with their tokens and keys, node states, boot
 * timelines, events. SQLite with a write-ahead log, one writer (the daemon's loop), mode 0600 because of the keys.
 *
 * A change is durable against kill -9 when the call that made it returns; against a power cut too where it stands in a
 * transaction begun with durable = true (what must be stored before it is used: bindings, incarnations, tokens).
 * All calls: 0 or more on success, -errno with e filled; -ENOENT where nothing is found. Times are wall clock, ms.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include "libssi/base/err.h"
#include "libssi/comm/ccm.h"
#include "libssi/model/mac.h"

struct state;

/* Open or make DIR/bootsvc.db; bring an older schema up to date, refuse a newer one (-EPROTO). -EBUSY: another daemon has it. */
int state_open(const char *dir, struct state **ret, struct ssi_err *e);
void state_close(struct state *s);                    /* NULL is fine */

/* They nest: what is inside another belongs to it, and a rollback inside undoes all of it. */
int state_begin(struct state *s, bool durable, struct ssi_err *e);
int state_commit(struct state *s, struct ssi_err *e);
void state_rollback(struct state *s);                 /* all that was begun and not committed; else nothing */

/*
 * Between these two changes gather into one transaction: they are seen at once, and as durable as they are asked to be when state_settle has
 * returned 0; who says them to anyone says it after that. A transaction begun in between is a part of it: a rollback undoes the part alone.
 * state_settle failing: what was gathered did not happen.
 */
void state_gather(struct state *s);
int state_settle(struct state *s, struct ssi_err *e);

/* state-machine.c: machines, and which node each plays. */
struct state_machine {
	char mac[SSI_MAC_LEN], system[64];            /* system: the one it asked in last */
	char node[64];                                /* "" = not bound */
	bool spare;                                   /* kept as a spare; else, when not bound, it waits for someone to decide */
	uint64_t first_seen, last_seen;               /* last_seen 0: it never asked (entered from nodes.d or by a verb) */
	struct in_addr address;                       /* that it asked from last */
	char failed[128];                             /* why it gets no node and is no spare until it is accepted; "" = it is well */
	uint64_t failed_at;
	uint64_t waited;                              /* when it was told to wait last; 0 = it has had a node since */
};
typedef void (*state_machine_fn)(const struct state_machine *m, void *userdata);
#define STATE_STRANGERS 65536        /* machines that are bound to no node: anyone can ask in any name */
/* 1 = a new one; -EUSERS: it would be, and there are too many strangers already. */
int state_machine_seen(struct state *s, const char *mac, const char *system, struct in_addr address, uint64_t now, struct ssi_err *e);
int state_machine_get(struct state *s, const char *mac, struct state_machine *ret, struct ssi_err *e);
int state_machine_at(struct state *s, struct in_addr address, struct state_machine *ret, struct ssi_err *e);   /* the bound one that asked from there last */
int state_machine_set_spare(struct state *s, const char *mac, bool spare, struct ssi_err *e);
int state_machine_each(struct state *s, state_machine_fn fn, void *userdata, struct ssi_err *e);   /* by MAC */
int state_machine_count(struct state *s, unsigned *ret_all, unsigned *ret_unbound, struct ssi_err *e);
int state_machine_rm(struct state *s, const char *mac, struct ssi_err *e);     /* -EBUSY when bound */
/* Bind; what the node or the machine was bound to before is unbound. The machine is entered if it is not known. */
int state_bind(struct state *s, const char *node, const char *mac, uint64_t now, struct ssi_err *e);
int state_unbind(struct state *s, const char *node, struct ssi_err *e);        /* 1 = was bound, 0 = was not */
int state_machine_of(struct state *s, const char *node, char ret[SSI_MAC_LEN], struct ssi_err *e);
int state_node_of(struct state *s, const char *mac, char ret[64], struct ssi_err *e);

/* state-failover.c: machines that have failed, and failovers under way (failover.c). */
#define STATE_WHY 160
struct state_failover {
	char node[64], step[16], machine[SSI_MAC_LEN], spare[SSI_MAC_LEN];   /* machine: the one it had; spare: set aside for it, or bound */
	char why[STATE_WHY];
	uint64_t since, detached;                     /* of the step; when the node was lost */
	bool ordered, sound;                          /* by an administrator; and the machine it had has not failed */
};
int state_failover_put(struct state *s, const struct state_failover *f, struct ssi_err *e);
int state_failover_rm(struct state *s, const char *node, struct ssi_err *e);
int state_failover_each(struct state *s, void (*fn)(const struct state_failover *f, void *userdata), void *userdata, struct ssi_err *e);
/* Of those that begin by themselves, for the limit. */
int state_failover_begun(struct state *s, const char *system, const char *node, uint64_t now, struct ssi_err *e);
int state_failover_lately(struct state *s, const char *system, uint64_t since, unsigned *ret, uint64_t *ret_first, struct ssi_err *e);
/* It is no spare any more, and gets no node; why "": it is well again. The machine is entered if it is not known. */
int state_machine_fail(struct state *s, const char *mac, const char *why, uint64_t now, struct ssi_err *e);
/* It asked, and was told to wait; now 0: it gets a node. */
int state_machine_waits(struct state *s, const char *mac, uint64_t now, struct ssi_err *e);
/* Named as a system's spare: entered if it is not known; a spare unless it is bound or has failed. */
int state_machine_keep(struct state *s, const char *mac, const char *system, uint64_t now, struct ssi_err *e);
int state_spare_count(struct state *s, const char *system, unsigned *ret, struct ssi_err *e);     /* spares of a system, bound or failed ones not */
/* The same, by MAC; of each only mac, system and waited. */
int state_spare_each(struct state *s, const char *system, state_machine_fn fn, void *userdata, struct ssi_err *e);
/* The node's present machine plays it in place of the one that nodes.d fixes. ret "": it does not. */
int state_bind_instead(struct state *s, const char *node, const char *fixed, struct ssi_err *e);
int state_bound_instead(struct state *s, const char *node, char ret[SSI_MAC_LEN], struct ssi_err *e);
#define STATE_IDENTITY 32
/* What the node's host keys and machine-id are made from: random, once, for good. */
int state_identity(struct state *s, const char *node, uint8_t ret[STATE_IDENTITY], struct ssi_err *e);

/* state-node.c: nodes and their incarnations. */
struct state_node {
	char name[64], state[16], reason[128];
	char hold[16];                                /* what an administrator decided, by its name */
	uint64_t incarnation;                         /* of the boot that counts now; a newer one may be armed */
	uint64_t since;
	char generation[80], image[65];               /* of that boot */
	char *inventory;                              /* JSON or NULL; borrowed for the call it is seen in */
};
typedef void (*state_node_fn)(const struct state_node *n, void *userdata);
int state_node_each(struct state *s, state_node_fn fn, void *userdata, struct ssi_err *e);
int state_node_put(struct state *s, const char *name, const char *state, uint64_t incarnation, uint64_t since, const char *reason, struct ssi_err *e);
int state_node_hold(struct state *s, const char *name, const char *hold, struct ssi_err *e);
int state_node_inventory(struct state *s, const char *name, const char *json, struct ssi_err *e);

/* Node numbers, given once and never again to another. */
int state_number_each(struct state *s, void (*fn)(const char *node, uint32_t number, void *userdata), void *userdata, struct ssi_err *e);
int state_number_put(struct state *s, const char *node, uint32_t number, struct ssi_err *e);

struct state_boot {
	char node[64], mac[SSI_MAC_LEN];
	uint64_t incarnation, armed;                  /* armed: when */
	char image[65], generation[80];
	char root[8];                                 /* how that reaches it: "nfs", "ram" or "iscsi" */
	char state[37];                               /* the UUID of its state volume, "" = it has none */
	bool used, over;                              /* its token was exchanged; its keys count no more */
	bool left;                                    /* over because it said goodbye */
	uint8_t token[SSI_CCM_KEY], key[SSI_CCM_KEY]; /* key: once used */
};
/* ms since it was armed; 0 when it was not, or the wall clock was set back since. */
static inline uint64_t state_boot_age(const struct state_boot *b, uint64_t now) { return b->armed && now > b->armed ? now - b->armed : 0; }
/* Arm: the newest incarnation of the node when the same machine has it and nobody used its token, else the next number. Fills in
 * b->incarnation; node, mac, image, generation, root, token and armed are the caller's. */
int state_boot_arm(struct state *s, struct state_boot *b, struct ssi_err *e);
int state_boot_get(struct state *s, const char *node, uint64_t incarnation, struct state_boot *ret, struct ssi_err *e);
int state_boot_newest(struct state *s, const char *node, struct state_boot *ret, struct ssi_err *e);
int state_boot_by_mac(struct state *s, const char *mac, uint64_t incarnation, struct state_boot *ret, struct ssi_err *e);
int state_boot_use(struct state *s, const char *node, uint64_t incarnation, const uint8_t key[SSI_CCM_KEY], struct ssi_err *e);
int state_boot_end(struct state *s, const char *node, uint64_t incarnation, struct ssi_err *e);
/* It has said goodbye: over, but it may have to write back what its disks hold yet. */
int state_boot_leave(struct state *s, const char *node, uint64_t incarnation, struct ssi_err *e);
/* Boots that count, or have said goodbye and were followed by none, and have disks of the master's; since: when the node's state changed last, wall clock. b is borrowed. */
typedef void (*state_door_fn)(const struct state_boot *b, uint64_t since, void *userdata);
int state_doors(struct state *s, state_door_fn fn, void *userdata, struct ssi_err *e);
int state_boot_end_all(struct state *s, const char *node, struct ssi_err *e);   /* the node's machine was taken from it */
/* Generations that nodes that are not off run or boot, and over which kind of root. */
typedef void (*state_generation_fn)(const char *node, uint64_t incarnation, const char *image, const char *generation, const char *root,
				    void *userdata);
int state_generations_used(struct state *s, state_generation_fn fn, void *userdata, struct ssi_err *e);
/* Shared file systems (libssi/model/shared.h) that a boot mounts, and those of nodes that are not off. */
#define STATE_SHARED 512             /* bytes of such a text with its NUL */
int state_boot_shared(struct state *s, const char *node, uint64_t incarnation, const char *shared, struct ssi_err *e);
int state_shared_used(struct state *s, void (*fn)(const char *node, const char *shared, void *userdata), void *userdata, struct ssi_err *e);

#define STATE_STAGES 64              /* of one boot; names past that are passed over */
struct state_stage { char name[32]; uint64_t start_ms, end_ms; uint32_t tries; };
int state_stage_put(struct state *s, const char *node, uint64_t incarnation, const struct state_stage *g, struct ssi_err *e);
int state_stage_each(struct state *s, const char *node, uint64_t incarnation, void (*fn)(const struct state_stage *g, void *userdata),
		     void *userdata, struct ssi_err *e);

/* state-volume.c: state volumes and their snapshots (volumes.h). */
struct state_volume {
	char node[64], system[64];
	char uuid[37], fs[8];                         /* of its file system */
	uint64_t size, made;                          /* bytes; when, 0 = it is being made */
	unsigned serial;                              /* of its file: another file has another */
	char image[65], generation[80];               /* that it was given out for last; "" = for none yet */
	uint64_t incarnation, taker;                  /* whose it is, 0 = nobody's; whose it will be when it was seen to */
	char decision[8], decided_for[80];            /* about which generation it was decided ("keep", "fresh"), or has to be ("ask"); "" = about none */
	char next[37];                                /* decision fresh: the UUID of the new one */
	char trouble[160];                            /* why it cannot be given out, "" = it can */
};
typedef void (*state_volume_fn)(const struct state_volume *v, void *userdata);
int state_volume_get(struct state *s, const char *node, struct state_volume *ret, struct ssi_err *e);
int state_volume_put(struct state *s, const struct state_volume *v, struct ssi_err *e);
int state_volume_each(struct state *s, state_volume_fn fn, void *userdata, struct ssi_err *e);   /* by node */
int state_volume_rm(struct state *s, const char *node, struct ssi_err *e);
struct state_snapshot {
	char node[64], name[65];
	uint64_t time, size, incarnation;             /* incarnation: that had the volume then, 0 = nobody */
	char system[64], file[80];                    /* below that of the volume */
	char uuid[37], fs[8], image[65], generation[80];
	char how[16], why[128];                       /* "reflink", "copy", or "moved": it was the volume itself; what it was made for */
};
typedef void (*state_snapshot_fn)(const struct state_snapshot *p, void *userdata);
int state_snapshot_get(struct state *s, const char *node, const char *name, struct state_snapshot *ret, struct ssi_err *e);
int state_snapshot_put(struct state *s, const struct state_snapshot *p, struct ssi_err *e);
int state_snapshot_each(struct state *s, const char *node, state_snapshot_fn fn, void *userdata, struct ssi_err *e);   /* oldest first */
int state_snapshot_rm(struct state *s, const char *node, const char *name, struct ssi_err *e);

/* state-event.c: what happened. Borrowed strings, "" where there is none. */
struct state_event {
	uint64_t id, time;
	const char *kind, *node, *machine, *text;
	uint64_t incarnation;
};
int state_event_add(struct state *s, struct state_event *ev, struct ssi_err *e);   /* fills in id; the oldest go when there are too many */
/* Those with an id above since, oldest or newest first, read as they are asked for; 1 from fn ends it. */
int state_event_each(struct state *s, uint64_t since, bool newest_first, int (*fn)(const struct state_event *ev, void *userdata), void *userdata,
		     struct ssi_err *e);

/* state-fence.c: the last fence of each node (fence.h), and the machines that this master is closed to (doors.h). */
enum state_fence_phase {
	STATE_FENCE_DOUBT,                            /* nothing was begun: its last incarnation was given up, and may still run */
	STATE_FENCE_WORK,                             /* begun, not confirmed */
	STATE_FENCE_CONFIRMED,                        /* by reason */
};
struct state_fence {
	char node[64], mac[SSI_MAC_LEN];              /* the machine that is fenced */
	struct in_addr address;                       /* the node's, as that machine has it */
	uint64_t incarnation;                         /* it and all before */
	enum state_fence_phase phase;
	unsigned proved, tries;                       /* bits by enum fence_step; rounds that ended without confirming it */
	uint64_t since, ended;
	char why[128], reason[256];                   /* it was begun; it is not confirmed, or how it was */
};
typedef void (*state_fence_fn)(const struct state_fence *f, void *userdata);
int state_fence_put(struct state *s, const struct state_fence *f, struct ssi_err *e);
int state_fence_get(struct state *s, const char *node, struct state_fence *ret, struct ssi_err *e);
int state_fence_each(struct state *s, state_fence_fn fn, void *userdata, struct ssi_err *e);
int state_fence_rm(struct state *s, const char *node, struct ssi_err *e);
int state_door_put(struct state *s, const char *mac, const char *node, uint64_t now, struct ssi_err *e);
int state_door_rm(struct state *s, const char *mac, struct ssi_err *e);        /* 1 = was there */
int state_door_each(struct state *s, void (*fn)(const char *mac, const char *node, void *userdata), void *userdata, struct ssi_err *e);

/* state-job.c: jobs (jobs.h), those that are not over and the last ones that are. */
enum state_job_phase { STATE_JOB_SENT = 1, STATE_JOB_RUNS, STATE_JOB_ENDED, STATE_JOB_OVER };   /* OVER: its record was taken by who waited for it */
struct state_job {
	uint64_t number;
	uint32_t pid, uid, gid;
	char node[64], command[64];                   /* command: the name of its program, printable */
	uint64_t incarnation;                         /* of the node */
	int phase;
	uint64_t started, ended;                      /* wall clock, ms */
	int cause, status, signal, core, error;       /* as in Exit of ssi/rexec/job.proto */
	uint64_t user_us, system_us, max_rss;
	char text[160];
	uint64_t boot, deputy;                        /* of its deputy: which boot of the master it is of, and when in it that was started; 0: it has none */
};
typedef void (*state_job_fn)(const struct state_job *j, void *userdata);
int state_job_put(struct state *s, const struct state_job *j, struct ssi_err *e);
int state_job_each(struct state *s, state_job_fn fn, void *userdata, struct ssi_err *e);   /* by number */
int state_job_rm(struct state *s, uint64_t number, struct ssi_err *e);

/* Small values: the number a system's view goes on from. */
int state_value_get(struct state *s, const char *name, uint64_t *ret, struct ssi_err *e);
int state_value_put(struct state *s, const char *name, uint64_t v, struct ssi_err *e);
