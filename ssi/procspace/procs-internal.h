/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the files of the master's side of processes know of each other. */
#include <sys/queue.h>
#include "ssi/procspace/procs-head.h"
#include "ssi/procspace/procs-numbers.h"

#define PROCS_BUCKETS 256

struct procs_entry {
	struct ssi_process p;
	char *cmdline;                   /* NULL: none */
	uint32_t cmdline_len;
	uint32_t number;                 /* in the merged system; 0: there was none left */
	bool told;                       /* since the node began anew */
	bool gone;                       /* while a message is taken */
};

struct procs_node {
	LIST_ENTRY(procs_node) link;
	char name[64];
	uint32_t number;
	uint64_t incarnation, boot_ms, seen_ms;
	struct ssi_ccm_conn *conn;       /* the session in which it told last; NULL */
	bool begun;                      /* it has begun anew in this session */
	struct procs_entry *entries;     /* by p.pid */
	size_t n, cap, text;             /* text: bytes of command lines */
};

struct procs_call {
	LIST_ENTRY(procs_call) link;
	struct ssi_ccm_conn *conn;
	uint64_t sequence;
	ssi_procs_acted acted;
	void *userdata;
};

struct ssi_procs {
	const struct ssi_procs_ops *ops;
	void *userdata;
	struct ssi_procs_numbers *numbers;
	uint64_t sequence;
	LIST_HEAD(, procs_node) nodes[PROCS_BUCKETS];
	LIST_HEAD(, procs_call) calls;
	unsigned n_calls;
};

/* procs-head.c */
struct procs_node *procs_node_find(const struct ssi_procs *p, uint32_t number);
struct procs_node *procs_node_add(struct ssi_procs *p, uint32_t number, const char *name, uint64_t incarnation);      /* NULL: out of memory */
void procs_node_forget(struct ssi_procs *p, struct procs_node *n);
struct procs_entry *procs_entry_find(const struct procs_node *n, uint32_t pid);
/* procs-take.c: a message of a node into what is known of it. -EBADMSG, -EPROTO, -ENOMEM. */
int procs_take(struct ssi_procs *p, struct procs_node *n, const uint8_t *body, size_t size);
void procs_entry_free(struct ssi_procs *p, struct procs_node *n, struct procs_entry *e);
struct procs_entry *procs_entry_add(struct procs_node *n, uint32_t pid);         /* the place for a new one, empty but for its pid; NULL: no room */
/* Its number in the merged system: a job's, as soon as the daemon knows the job, or the next one. */
void procs_entry_number(struct ssi_procs *p, const struct procs_node *n, struct procs_entry *e);
/* procs-act.c */
int procs_on_acted(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata);
