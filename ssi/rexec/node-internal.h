/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the parts of the node's side share: node.c (calls, and what goes to and fro), node-spawn.c (how a child begins). */
#include <signal.h>
#include <stdbool.h>
#include <sys/queue.h>
#include "libssi/base/buf.h"
#include "ssi/rexec/node.h"
#include "ssi/rexec/rexec.pb-c.h"

struct node_call;
struct node_pipe {
	struct node_call *call;
	int fd;                              /* our end; -1 = shut */
	sd_event_source *io;
	uint16_t type;                       /* of message */
	size_t left;                         /* of what the command wrote, when it has exited */
};

struct node_call {
	LIST_ENTRY(node_call) link;
	struct ssi_rexec_node *r;
	struct ssi_ccm_conn *conn;           /* NULL: the master hung up, only the child's end is waited for */
	uint64_t sequence;
	char *program;                       /* argv[0] */
	pid_t pid;
	int report;                          /* of ssi_spawn_start */
	sd_event_source *child;
	struct node_pipe in, out[2];
	struct ssi_buf input, held;          /* not taken by the child yet; not taken by ccm yet */
	uint16_t held_type;
	bool input_ends, exited;
	bool unwanted;                       /* the master has ended it: room for what it still wrote may never come */
	uint32_t window;                     /* bytes of output the master has room for */
	uint32_t taken;                      /* bytes of input the master could not be told of yet: the queue to it was full */
	siginfo_t how;
	int failed;                          /* -errno of a program that did not start, else 0 */
};

/* Start the command of m, with pipes: of call are set program, pid, report and our ends. What failed is the caller's to close. */
int node_spawn(struct node_call *call, const Ssi__Rexec__Exec *m, struct ssi_err *e);
