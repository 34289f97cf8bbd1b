/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A job (doc/jobs.md), as who started it has it: one connection to the daemon's jobs.sock, from SPEC to EXIT_ACK. Nothing here blocks but ssi_run_ask: the
 * caller polls. A connection that breaks is made again by itself, and what is on its way is neither lost nor there twice. One thread; as many jobs as there
 * are descriptors.
 */
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "libssi/base/err.h"

#define SSI_RUN_STREAMS 5                    /* 0 stdin, 1 stdout, 2 stderr, 3 files, 4 result */

/* Where may it run? All 0 or NULL: as the default policy has it. */
struct ssi_run_where {
	const char *range, *policy, *system; /* system: the policy chooses among its nodes */
	uint32_t count, cpus, same_as;
	uint64_t memory;                     /* bytes */
};
struct ssi_run_place {
	char node[64], arch[32], error[160]; /* error "": it may run there */
	uint64_t job;
	uint32_t pid;
	uint32_t x86_level;                  /* of x86-64: 1 to 4; 0: not known */
};
struct ssi_run_places {
	char shared[512];                    /* as libssi/model/shared.h has it */
	uint32_t caller;                     /* this process's number as the daemon has it; 0: it sees none */
	size_t n;
	struct ssi_run_place place[];
};
const char *ssi_run_socket(void);            /* $SSI_JOBS, else SSI_RUNDIR "/jobs.sock" */
/* socket NULL: ssi_run_socket(). *ret is the caller's to free(); *ret_fd a connection for ssi_run_new, or to close. */
int ssi_run_ask(const char *socket, const struct ssi_run_where *w, struct ssi_run_places **ret, int *ret_fd, struct ssi_err *e);

enum ssi_run_state { SSI_RUN_SENDING, SSI_RUN_RUNNING, SSI_RUN_STOPPED, SSI_RUN_ENDED };
enum ssi_run_cause { SSI_RUN_EXITED, SSI_RUN_KILLED, SSI_RUN_CRASHED, SSI_RUN_NODE_LOST, SSI_RUN_NOT_STARTED, SSI_RUN_TIME, SSI_RUN_MEMORY, SSI_RUN_LEASE };
struct ssi_run_exit {
	enum ssi_run_cause cause;
	int status, signal, error;           /* error: errno of what was not started */
	bool core;                           /* there was a core dump */
	uint64_t user_us, system_us, max_rss;
	uint64_t unread;                     /* bytes of stream 0 that the program has not read, as far as that is known */
	char text[256];                      /* more about it, "" if there is nothing to say */
};

struct ssi_run;
struct ssi_run_ops {
	/* The next n bytes of stream 1, 2 or 4, to be acknowledged by ssi_run_consumed once they are where they belong; n 0: its end. Borrowed. */
	void (*output)(struct ssi_run *r, unsigned stream, const void *p, size_t n, void *userdata);
	/* May be NULL. It runs, was stopped (by signal), goes on. */
	void (*state)(struct ssi_run *r, enum ssi_run_state s, int signal, void *userdata);
	/*
	 * May be NULL. The node lacks so many bytes of the program's files: at its beginning, after a break, and when what ssi_run_take said has ended. true: they
	 * are not sent now, ssi_run_send or ssi_run_take is going to say how the node gets them.
	 */
	bool (*need)(struct ssi_run *r, uint64_t bytes, void *userdata);
	/* May be NULL. The answer to ssi_run_give: the port of the node, or 0. */
	void (*gives)(struct ssi_run *r, unsigned port, void *userdata);
};

struct ssi_pack;                             /* what travels (ssi/rexec/pack.h) */
struct Ssi__Job__Spec;
/*
 * Start spec at a place. fd: of ssi_run_ask, taken over, or -1. spec and pack are borrowed and must outlive it; spec's pid and who it runs as are the
 * daemon's to write. Several jobs may share both.
 */
int ssi_run_new(const char *socket, int fd, const struct ssi_run_place *place, const struct Ssi__Job__Spec *spec, struct ssi_pack *pack,
		const struct ssi_run_ops *ops, void *userdata, struct ssi_run **ret, struct ssi_err *e);
/*
 * Take up a job whose client is gone for good: what that one acknowledged of its output is not there any more, and neither is its input. For its user. fd: a
 * connection, taken over, or -1.
 */
int ssi_run_attach(const char *socket, int fd, const struct ssi_run_place *place, const struct ssi_run_ops *ops, void *userdata, struct ssi_run **ret,
		   struct ssi_err *e);
void ssi_run_free(struct ssi_run *r);        /* before it has ended: the job is killed. NULL is fine */

/* What to poll for (fd -1: nothing now); the result is a timeout in ms, or -1. */
int ssi_run_poll(const struct ssi_run *r, struct pollfd *ret);
/* What came of it, or the time is over. The state; -errno: the job cannot be reached any more, and what became of it is not known. */
int ssi_run_step(struct ssi_run *r, short revents, struct ssi_err *e);

/* From node to node (doc/jobs.md, "To many nodes"): who knows the key may have the program's files of this job's node; another job's node takes them there. */
#define SSI_RUN_KEY 32
void ssi_run_give(struct ssi_run *r, const uint8_t key[SSI_RUN_KEY]);
void ssi_run_take(struct ssi_run *r, uint64_t from, unsigned port, const uint8_t key[SSI_RUN_KEY]);   /* from: the number of the job that was said to give */
void ssi_run_send(struct ssi_run *r);        /* from here, after need() */

size_t ssi_run_room(const struct ssi_run *r, unsigned stream);       /* so much of stream 0 or 3 may be given */
int ssi_run_input(struct ssi_run *r, unsigned stream, const void *p, size_t n);   /* at most that; n 0: its end */
bool ssi_run_closed(const struct ssi_run *r, unsigned stream);       /* stream 0 or 3: the job takes no more of it */
void ssi_run_consumed(struct ssi_run *r, unsigned stream, size_t n);
void ssi_run_gone(struct ssi_run *r, unsigned stream);               /* 1 or 2: nobody reads it any more; so the program's writing fails */
void ssi_run_signal(struct ssi_run *r, int number, bool group);
void ssi_run_window(struct ssi_run *r, unsigned rows, unsigned columns);
const struct ssi_run_exit *ssi_run_exit(const struct ssi_run *r);    /* once it has ended */
const struct ssi_run_place *ssi_run_place(const struct ssi_run *r);
int ssi_run_die(const struct ssi_run_exit *x);       /* ends this process by the signal that the job ended by; else says with which status */
bool ssi_run_started(const struct ssi_run *r);                       /* its program ran */
