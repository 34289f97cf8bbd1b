/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the jobs-*.c files share: a job, who started it, and who says what to whom. */
#include <stdbool.h>
#include <sys/queue.h>
#include "bootsvc/jobs.h"
#include "bootsvc/state.h"
#include "libssi/comm/jobframe.h"
#include "libssi/comm/station.h"

#define JOBS_BUCKETS 4096
#define JOBS_PID_FIRST (1u << 20)            /* doc/pids.md: those that the daemon gives; below are deputies' own */
#define JOBS_PID_END (1u << 21)
#define JOBS_MAX 65536
#define JOBS_OF_USER 4096                    /* of a uid other than 0, at a time */
#define JOBS_KEPT 1000                       /* records of those that have ended */
#define JOBS_PLACE_MS 60000                  /* a number that was given out and is not used is taken back */
#define JOBS_CLIENTS 16384
#define JOBS_GROUPS 256
#define JOBS_STREAMS 5
#define JOBS_BACK_MS 30000                  /* after a start, so long a job that nobody knows may yet be named by a node */

enum job_state { JOB_PLACED, JOB_SENT, JOB_RUNNING, JOB_STOPPED, JOB_ENDED };
enum { JOB_OWES_KILL = 1, JOB_OWES_ATTACH = 2, JOB_OWES_EXIT_ACK = 4, JOB_OWES_ACK = 8 };      /* what could not be said to the node for want of room */

struct job_client;
struct job {
	LIST_ENTRY(job) link;                /* of its bucket */
	TAILQ_ENTRY(job) order;              /* of all that are not over, or of all that are kept */
	TAILQ_ENTRY(job) unsaved;
	TAILQ_ENTRY(job) looked;             /* of those with a deputy */
	struct state_job s;                  /* as the store has it */
	enum job_state state;
	struct ssi_ccm_conn *conn;           /* that its frames go over; NULL: its node cannot be reached, or has not named it yet */
	struct job_client *client;           /* NULL: nobody is there */
	uint64_t placed;                     /* monotonic */
	uint64_t signals;                    /* that wait until its node can be reached: bits */
	unsigned owes;
	uint64_t discarded[JOBS_STREAMS];    /* so much of each stream nobody wanted: acknowledged by the daemon */
	int deputy;                          /* /proc/PID/stat of its deputy; -1: it has none */
	bool held;                           /* it was stopped because its deputy is, and nobody has let it go on since */
	bool holds;                          /* and that one has been seen to go on */
	bool stored;                         /* there is to be a row of it */
	bool dirty;                          /* in the list of those whose row is old */
	bool doomed;                         /* who started it was killed: so is it, and nobody wants its output */
	bool acked;                          /* its record has been dealt with: it is over */
};
TAILQ_HEAD(job_list, job);

struct job_client {
	LIST_ENTRY(job_client) link;
	LIST_ENTRY(job_client) waiting;      /* for room to its node; only while blocked */
	struct jobs *jobs;
	struct ssi_jobhop hop;
	sd_event_source *io;
	uid_t uid;
	gid_t gid;
	uint32_t pid;                        /* of who made the connection; 0: he is in no pid namespace that is seen from here */
	struct job *job;                     /* that the connection carries, or NULL yet */
	uint64_t wants;                      /* the number of a job that it wants to attach to, once a node names it; 0 */
	bool blocked, asked;
};

struct jobs {
	struct daemon *d;
	sd_event_source *door, *sweep, *save, *look;
	int fd;
	uint64_t next, next_end;             /* number of the next job; the store knows that those below next_end may be in use */
	LIST_HEAD(, job) buckets[JOBS_BUCKETS];
	struct job_list active, kept, unsaved, deputies;
	unsigned n_active, n_kept, n_clients;
	unsigned crowd;                      /* the most clients since memory was given back last */
	LIST_HEAD(, job_client) clients, blocked;
	uint8_t pids[JOBS_PID_END / 8];      /* that jobs have */
	uint32_t pid_next;
	uint64_t life;                       /* the master's incarnation */
	uint64_t boot;                       /* of this machine: deputy_boot */
	bool first_life;                     /* of the daemon in this boot */
	bool unsynced;                       /* the store has rows of jobs that run which may not be on the disk yet */
};

/* jobs-table.c */
struct job *job_find(const struct jobs *j, uint64_t number);
struct job *job_by_pid(const struct jobs *j, uint32_t pid);                  /* an active one */
unsigned jobs_of_user(const struct jobs *j, uid_t uid);
/* A new one with number and pid. -EAGAIN: there are too many. */
int job_new(struct jobs *j, const char *node, uint64_t incarnation, uid_t uid, gid_t gid, struct job **ret, struct ssi_err *e);
int job_renumber(struct jobs *j, struct job *job, uint32_t pid);              /* a deputy's own number; -EEXIST: another job's deputy has it, or it is none */
struct job *job_restore(struct jobs *j, const struct state_job *s);          /* as the store or a node tells; NULL: out of memory */
void job_free(struct jobs *j, struct job *job);
void job_over(struct jobs *j, struct job *job);                              /* ended and acknowledged: its pid is free, its record is kept a while */
void job_changed(struct jobs *j, struct job *job);                           /* the store hears of it a moment later */
int jobs_table_load(struct jobs *j, struct ssi_err *e);
void jobs_table_free(struct jobs *j);                                        /* stores what is to be stored */
bool job_away(const struct jobs *j, const struct job *job);                  /* its node is not heard of */
const char *job_state_name(const struct jobs *j, const struct job *job);     /* "placed", "loading", "running", "stopped", "away", "ended" */

/* jobs-node.c: towards the node */
int jobs_node_register(struct jobs *j);
int job_to_node(struct job *job, uint16_t type, const void *body, size_t n); /* -EAGAIN: no room now; -ENOTCONN: it is away */
void job_pay(struct job *job);                                               /* say to the node what is owed */
int job_signal(struct job *job, unsigned number);                            /* now, or when its node can be reached again */
int job_signal_first(struct job *job, unsigned number);                       /* to its first process alone, now; -errno: it cannot be said */
void job_doom(struct jobs *j, struct job *job);
void job_lost(struct jobs *j, struct job *job, const char *why);             /* its node has gone, and it with it */

/* jobs-client.c: towards who started it */
int jobs_client_listen(struct jobs *j, struct ssi_err *e);
void jobs_client_free_all(struct jobs *j);
int job_to_client(struct job *job, uint16_t type, const void *body, size_t n);   /* lost if nobody is there: it can be had again */
void job_tell_state(struct job *job, int what);                              /* a State of the daemon's own */
void jobs_client_named(struct jobs *j, struct job *job);                     /* a node has named it: who waited for that is attached */
void jobs_client_sweep(struct jobs *j);                                      /* who waits for a job that no node has named in time is told */
void jobs_client_pump(struct job_client *c);                                 /* read on */

/* jobs-deputy.c */
uint64_t deputy_boot(void);                                                  /* which boot of this machine it is; not 0 */
int deputies_new(struct jobs *j);
/* The process pid of user uid is the job's deputy from now on, and the job has its number. -EEXIST, -ESRCH: it cannot be. */
int deputy_take(struct jobs *j, struct job *job, uint32_t pid, uid_t uid);
#define DEPUTY_OURS ((uid_t)-1)               /* a child of the daemon, that is to become the user */
void deputy_find(struct jobs *j, struct job *job);                           /* after a restart of the daemon: it is there still, or the job is ended */
void deputy_drop(struct jobs *j, struct job *job);                           /* it has none any more */
void deputy_wake(struct job *job);                                           /* the job goes on: so does its deputy */

/* jobs-again.c */
void again_numbers(struct jobs *j);                                          /* processes begin at other numbers in each boot */
void again_all(struct jobs *j);                                              /* jobs of an earlier boot get their deputies again; the socket is open */
char *again_file(const struct jobs *j, uint64_t number, const char *which);  /* where such a one's "out" or "err" is, if it is one. The caller's */
void again_forget(const struct jobs *j, uint64_t number);

/* jobs-start.c: ASK and SPEC */
int jobs_on_ask(struct job_client *c, const uint8_t *body, size_t n);
int jobs_on_spec(struct job_client *c, uint64_t number, const uint8_t *body, size_t n);

/* jobs-take.c: with the address of the node that gives */
int jobs_on_take(struct job_client *c, const uint8_t *body, size_t n);
