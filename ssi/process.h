/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The processes of the nodes as "ssi ps" and "ssi top" show them: the table of RUN/view, those of it that are asked for, and columns. */
#include <stdbool.h>
#include "libssi/base/tty.h"
#include "libssi/comm/viewfile.h"
#include "libssi/model/nodelist.h"
#include "libssi/model/proctable.h"

struct process_row {
	const struct ssi_proctable_process *p;
	unsigned cpu;                    /* of one processor, in thousandths: since it was started, or (top) since the time before */
};

/* Which are shown; what is NULL or false does not matter. */
struct process_filter { const struct ssi_nodelist *nodes; const uint32_t *uids; size_t n_uids; bool all; };

struct process_column {
	const char *name, *head;
	bool right;
	void (*text)(char *buf, size_t n, const struct ssi_proctable *t, const struct process_row *row);
	int64_t (*value)(const struct process_row *row);         /* what is sorted by; NULL: the text */
};

/* The newest table, at most 1.5 s old where the daemon lives. */
int process_table(struct ssi_viewfile *f, struct ssi_proctable *ret, struct ssi_err *e);
/* Those of the table that a filter lets pass; *ret is the caller's. -ENOMEM. */
int process_select(const struct ssi_proctable *t, const struct process_filter *filter, struct process_row **ret, size_t *ret_n);
/* Names with commas between into columns, the caller's array ending with NULL. -EINVAL with the name and those that there are. */
int process_columns(const char *names, const struct process_column ***ret, struct ssi_err *e);
/* By a column's name, "-" before it: the greatest first. -EINVAL. */
int process_sort(struct process_row *rows, size_t n, const struct ssi_proctable *t, const char *by, struct ssi_err *e);
void process_print(const struct process_column **columns, const struct ssi_proctable *t, const struct process_row *rows, size_t n, FILE *to);
/* A list of names or numbers of users; *ret is the caller's. -EINVAL. */
int process_users(const char *names, uint32_t **ret, size_t *ret_n, struct ssi_err *e);
