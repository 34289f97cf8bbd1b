/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What "run" does, once its options are read. */
#include <stdbool.h>
#include "ssi/rexec/pack.h"
#include "ssi/rexec/run-one.h"
#include "ssi/rexec/run-spec.h"

struct run_ask {
	char **argv;
	struct ssi_run_where where;
	const char *input, *output, *files;  /* or NULL */
	uint64_t time_ms;
	bool pty, prefix, json;
	bool restart;                        /* elsewhere, when its node is lost */
	bool or_here;                        /* where it cannot be placed, or has no working directory there: here */
};

/* run.c: all of it. socket: the control socket that was named, or NULL. The exit status; a job that was ended by a signal ends this process by it. */
int run_do(const struct run_ask *q, const char *socket);

/* What is the same for one job and for many. */
struct run_all {
	const struct run_ask *ask;
	const char *socket;                  /* jobs.sock, or NULL */
	struct ssi_run_places *places;
	int fd;                              /* of ssi_run_ask */
	struct ssi_pack *pack;
	Ssi__Job__Spec *spec;
	int signals;                         /* a signalfd */
};
/* run-alone.c, run-many.c. */
int run_alone(struct run_all *x);
int run_many(struct run_all *x);

/* run-deputy.c: who stands for one of many jobs. */
struct run_deputy { pid_t pid; int fd; };    /* pid 0: there is none */
int run_deputy_start(const char *socket, int signals, struct run_deputy *ret);
int run_deputy_connection(const struct run_deputy *d);       /* to jobs.sock, made by it; once; -1: it could not */
int run_deputy_signal(const struct run_deputy *d, bool *ret_group);  /* that it was sent, when its fd can be read; 0: none; -ESRCH: it is dead */
void run_deputy_stop(const struct run_deputy *d, bool stop); /* as its job; else it goes on */
int run_deputy_end(struct run_deputy *d, const struct ssi_run_exit *x);      /* it ends like that; NULL: anyhow. By which signal it did; 0 */

int run_deputy_again(const struct run_deputy *d);    /* it is to make another connection: run_deputy_connection; 0 or -errno */

/*
 * run-again.c: a place for a job whose node was lost, on the policy's next node. *ret_fd: the connection that asked. -EAGAIN: there is none just now (why is
 * in e).
 */
int run_again(const struct run_all *x, struct ssi_run_place *ret, int *ret_fd, struct ssi_err *e);
bool run_ends(int signal);                   /* that ends who waits for a place */
#define RUN_AGAIN_MS 1000                    /* so long until it is asked again */

/*
 * run-tree.c: to many nodes the program's files go down a tree. One node gets them from here; each that has them gives them to two others at a time. Whoever gets
 * nothing by that is sent them from here, as ever.
 */
struct run_tree;
struct run_tree_node {
	struct run_tree *tree;
	struct ssi_run *run;                 /* NULL: it has ended */
	uint64_t job;
	enum run_tree_what { TREE_NEW, TREE_FIRST, TREE_WAITS, TREE_TAKES, TREE_FED } what;
	struct run_tree_node *from;
	bool has;                            /* its program runs: all of it is there */
	int port;                            /* of who gives; -1: not known yet; 0: it gives nothing */
	unsigned takers;
};
struct run_tree { uint8_t key[SSI_RUN_KEY]; struct run_tree_node **nodes; size_t n, max; };
int run_tree_open(struct run_tree *t, size_t max);           /* -ENOMEM */
void run_tree_close(struct run_tree *t);
void run_tree_add(struct run_tree *t, struct run_tree_node *o, struct ssi_run *r);
bool run_tree_need(struct run_tree_node *o, uint64_t bytes);      /* as of struct ssi_run_ops */
void run_tree_gives(struct run_tree_node *o, unsigned port);
void run_tree_started(struct run_tree_node *o);
void run_tree_end(struct run_tree_node *o);                  /* before its run is freed */

/* run-files.c: a tar that writes PATH to a pipe, or reads what is to lie in DIR from one. *ret_fd: our end of it. */
int run_files_pack(const char *path, pid_t *ret_pid, int *ret_fd, struct ssi_err *e);
int run_files_unpack(const char *dir, pid_t *ret_pid, int *ret_fd, struct ssi_err *e);
void run_files_end(pid_t pid);                /* it is not wanted any more; 0 is fine */
int run_files_wait(pid_t pid, const char *what);     /* 0, or 1 and said */

/* run-alone.c: why a job ended otherwise than by its own exit, in a line; NULL: there is nothing to say. buf of n bytes. */
const char *run_why(const struct ssi_run_exit *x, char *buf, size_t n);
int run_status(const struct ssi_run_exit *x);        /* as a shell has it: 128 + signal */
