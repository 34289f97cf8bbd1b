/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the columns that processes can be shown in: a table, whose names are those of ps(1) where it has them. */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "libssi/base/buf.h"
#include "libssi/base/clock.h"
#include "ssi/process.h"

#define COLUMN(name) static void name(char *buf, size_t n, const struct ssi_proctable *t, const struct process_row *row)
#define VALUE(name) static int64_t name(const struct process_row *row)

/* Numbers. */
#define NUMBER(name, what) \
	VALUE(value_##name) { return (int64_t)(what); } \
	COLUMN(text_##name) { snprintf(buf, n, "%" PRId64, value_##name(row)); }
NUMBER(pid, row->p->pid)
NUMBER(ppid, row->p->ppid)
NUMBER(pgid, row->p->pgrp)
NUMBER(sid, row->p->session)
NUMBER(npid, row->p->on_node.pid)
NUMBER(uid, row->p->on_node.uid[1])
NUMBER(ruid, row->p->on_node.uid[0])
NUMBER(gid, row->p->on_node.gid[1])
NUMBER(pri, row->p->on_node.priority)
NUMBER(psr, row->p->on_node.processor)
NUMBER(nlwp, row->p->on_node.threads)
NUMBER(vsz, row->p->on_node.vsize / 1024)
NUMBER(rss, row->p->on_node.rss / 1024)
NUMBER(shr, row->p->on_node.shared / 1024)
NUMBER(swap, row->p->on_node.swap / 1024)
NUMBER(minflt, row->p->on_node.minflt)
NUMBER(majflt, row->p->on_node.majflt)

VALUE(value_cpu) { return row->cpu; }
COLUMN(text_cpu) { snprintf(buf, n, "%u.%u", row->cpu / 10, row->cpu % 10); }

/* As ps has it: it counts for nothing where the scheduler is another than the usual ones. */
VALUE(value_ni) { return row->p->on_node.nice; }
COLUMN(text_ni)
{
	if (row->p->on_node.policy == SCHED_OTHER || row->p->on_node.policy == SCHED_BATCH)
		snprintf(buf, n, "%d", row->p->on_node.nice);
	else
		snprintf(buf, n, "-");
}

COLUMN(text_node) { snprintf(buf, n, "%s", ssi_proctable_node(t, row->p)->name); }

COLUMN(text_user)
{
	static uint32_t known = UINT32_MAX;      /* many in a row are one user's */
	static char name[33];

	if (known != row->p->on_node.uid[1]) {
		const struct passwd *pw = getpwuid(known = row->p->on_node.uid[1]);

		if (pw)
			snprintf(name, sizeof(name), "%.32s", pw->pw_name);
		else
			snprintf(name, sizeof(name), "%u", known);
	}
	snprintf(buf, n, "%s", name);
}

COLUMN(text_state) { snprintf(buf, n, "%c", row->p->on_node.state); }

COLUMN(text_stat)
{
	const struct ssi_process *p = &row->p->on_node;

	snprintf(buf, n, "%c%s%s%s%s", p->state, p->nice < 0 ? "<" : p->nice > 0 ? "N" : "", p->pid == p->session ? "s" : "", p->threads > 1 ? "l" : "",
		 p->tpgid > 0 && (uint32_t)p->tpgid == p->pgrp ? "+" : "");
}

COLUMN(text_tty)
{
	uint32_t major = row->p->on_node.tty >> 8 & 0xfff, minor = (row->p->on_node.tty & 0xff) | (row->p->on_node.tty >> 12 & 0xfff00);

	if (major >= 136 && major <= 143)
		snprintf(buf, n, "pts/%u", minor + (major - 136) * 256);
	else if (major == 4)
		snprintf(buf, n, minor < 64 ? "tty%u" : "ttyS%u", minor < 64 ? minor : minor - 64);
	else
		snprintf(buf, n, "?");
}

VALUE(value_time) { return (int64_t)(row->p->on_node.utime + row->p->on_node.stime); }
COLUMN(text_time)
{
	uint64_t s = (uint64_t)value_time(row) / 100;

	if (s >= 86400)
		snprintf(buf, n, "%" PRIu64 "-%02u:%02u:%02u", s / 86400, (unsigned)(s / 3600 % 24), (unsigned)(s / 60 % 60), (unsigned)(s % 60));
	else
		snprintf(buf, n, "%02u:%02u:%02u", (unsigned)(s / 3600), (unsigned)(s / 60 % 60), (unsigned)(s % 60));
}

VALUE(value_start) { return (int64_t)row->p->start_ms; }
COLUMN(text_start)
{
	time_t at = (time_t)(row->p->start_ms / 1000), now = (time_t)(ssi_clock_wall_ms() / 1000);
	struct tm tm;

	localtime_r(&at, &tm);
	strftime(buf, n, now - at < 86400 ? "%H:%M" : "%b%d", &tm);
}

COLUMN(text_comm) { snprintf(buf, n, "%s", row->p->on_node.comm); }

COLUMN(text_args)
{
	const char *text = ssi_proctable_cmdline(t, row->p);
	size_t len = row->p->cmdline_len;

	if (!len) {
		snprintf(buf, n, "[%s]", row->p->on_node.comm);
		return;
	}
	len = len < n ? len : n;
	memcpy(buf, text, len);
	buf[len - 1] = '\0';
	for (size_t i = 0; i + 1 < len; i++)
		if (!buf[i])
			buf[i] = ' ';
}

COLUMN(text_job) { snprintf(buf, n, "%s", row->p->job ? "yes" : "-"); }

static const struct process_column columns[] = {
	{ "node", "NODE", false, text_node, NULL }, { "pid", "PID", true, text_pid, value_pid }, { "ppid", "PPID", true, text_ppid, value_ppid },
	{ "pgid", "PGID", true, text_pgid, value_pgid }, { "sid", "SID", true, text_sid, value_sid }, { "npid", "NPID", true, text_npid, value_npid },
	{ "user", "USER", false, text_user, NULL }, { "uid", "UID", true, text_uid, value_uid }, { "ruid", "RUID", true, text_ruid, value_ruid },
	{ "gid", "GID", true, text_gid, value_gid }, { "state", "S", false, text_state, NULL }, { "stat", "STAT", false, text_stat, NULL },
	{ "pcpu", "%CPU", true, text_cpu, value_cpu }, { "ni", "NI", true, text_ni, value_ni }, { "pri", "PRI", true, text_pri, value_pri },
	{ "psr", "PSR", true, text_psr, value_psr }, { "nlwp", "NLWP", true, text_nlwp, value_nlwp }, { "vsz", "VSZ", true, text_vsz, value_vsz },
	{ "rss", "RSS", true, text_rss, value_rss }, { "shr", "SHR", true, text_shr, value_shr }, { "swap", "SWAP", true, text_swap, value_swap },
	{ "minflt", "MINFLT", true, text_minflt, value_minflt }, { "majflt", "MAJFLT", true, text_majflt, value_majflt },
	{ "tty", "TTY", false, text_tty, NULL }, { "start", "START", false, text_start, value_start }, { "time", "TIME", true, text_time, value_time },
	{ "job", "JOB", false, text_job, NULL }, { "comm", "COMMAND", false, text_comm, NULL }, { "args", "COMMAND", false, text_args, NULL },
};

static const struct process_column *column(const char *name, size_t n, struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf all = SSI_BUF_INIT;

	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
		if (strlen(columns[i].name) == n && strncmp(columns[i].name, name, n) == 0)
			return &columns[i];
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
		ssi_buf_addf(&all, " %s", columns[i].name);
	ssi_errf(e, -EINVAL, "no column '%.*s'; there are:%s", (int)n, name, all.data);
	return NULL;
}

int process_columns(const char *names, const struct process_column ***ret, struct ssi_err *e)
{
	_cleanup_free_ const struct process_column **list = calloc(strlen(names) + 2, sizeof(*list));
	size_t k = 0;

	if (!list)
		return ssi_errno(e, -ENOMEM, "columns");
	for (const char *s = names;; s += strcspn(s, ",") + 1) {
		list[k] = column(s, strcspn(s, ","), e);
		if (!list[k++])
			return -EINVAL;
		if (!s[strcspn(s, ",")])
			break;
	}
	*ret = TAKE_PTR(list);
	return 0;
}

struct order { const struct process_column *by; const struct ssi_proctable *t; bool down; };

static int compare(const void *a, const void *b, void *userdata)
{
	const struct order *o = userdata;
	const struct process_row *x = a, *y = b;
	char s[256], u[256];
	int r;

	if (o->by->value) {
		int64_t v = o->by->value(x), w = o->by->value(y);

		r = v < w ? -1 : v > w;
	} else {
		o->by->text(s, sizeof(s), o->t, x);
		o->by->text(u, sizeof(u), o->t, y);
		r = strcmp(s, u);
	}
	if (r)
		return o->down ? -r : r;
	return x->p->pid < y->p->pid ? -1 : x->p->pid > y->p->pid;
}

int process_sort(struct process_row *rows, size_t n, const struct ssi_proctable *t, const char *by, struct ssi_err *e)
{
	struct order o = { .t = t, .down = *by == '-' };

	by += *by == '-' || *by == '+';
	o.by = column(by, strlen(by), e);
	if (!o.by)
		return -EINVAL;
	if (n)
		qsort_r(rows, n, sizeof(*rows), compare, &o);
	return 0;
}

void process_print(const struct process_column **list, const struct ssi_proctable *t, const struct process_row *rows, size_t n, FILE *to)
{
	_cleanup_free_ struct ssi_column *heads = NULL;
	struct ssi_table *table;
	char text[SSI_PROCTABLE_CMDLINE_MAX + 1];
	size_t k = 0;

	while (list[k])
		k++;
	heads = calloc(k + 1, sizeof(*heads));
	if (!heads)
		return;
	for (size_t i = 0; i < k; i++)
		heads[i] = (struct ssi_column){ list[i]->head, list[i]->right };
	table = ssi_table_new(heads);
	for (size_t i = 0; i < n; i++)
		for (size_t c = 0; c < k; c++) {
			list[c]->text(text, sizeof(text), t, &rows[i]);
			ssi_table_cell(table, SSI_PLAIN, "%s", text);
		}
	ssi_table_print(table, to, 0);
	ssi_table_free(table);
}
