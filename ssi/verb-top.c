/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "top": the processes of the nodes by what they use, again and again. It reads the tables of RUN/view, as anybody may, and asks no one. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "libssi/base/clock.h"
#include "libssi/base/num.h"
#include "libssi/comm/procjson.h"
#include "libssi/model/loadtable.h"
#include "ssi/ask.h"
#include "ssi/process.h"
#include "ssi/verbs.h"

#define TOP_COLUMNS "pid,node,user,pri,ni,vsz,rss,shr,state,pcpu,time,comm"
#define TOP_NODES_AGE_MS 2500
#define TOP_NODES_WAIT_MS 1000
#define TOP_HEAD 4                       /* lines before the first process */

const struct ssi_opt verb_top_opts[] = {
	{ "batch", 'b', NULL, "write one screen after the other, all of it, without a terminal", NULL },
	{ "count", 'n', "COUNT", "end after so many", NULL },
	{ "delay", 'd', "SECONDS", "time between two (default 3)", NULL },
	{ "all", 0, NULL, "those too that did nothing, in a batch (on a terminal they always are there)", NULL },
	{ "user", 'u', "USER", "only those of these users, by name or number, with commas between", NULL },
	{ "node", 0, "RANGE", "only those on these nodes", "@node" },
	{ 0 },
};

/* What a process had used the last time. */
struct was { uint32_t pid; uint64_t start, used, seen_ms; };

struct top {
	struct ssi_viewfile *processes, *nodes;
	struct process_filter filter;
	const struct process_column **columns;
	const char *sort;
	struct was *was;
	size_t n_was;
	bool screen, json, all;
	uint64_t delay_ms;
	uint32_t count;                  /* 0: for ever */
};

struct totals { unsigned nodes, cpus; double busy; uint64_t memory, available; };

static volatile sig_atomic_t ended;

static void on_end(int sig)
{
	ended = 1;
}

static const struct was *find_was(const struct top *t, uint32_t pid)
{
	size_t low = 0, high = t->n_was;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (t->was[mid].pid == pid)
			return &t->was[mid];
		if (t->was[mid].pid < pid)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static uint64_t used(const struct ssi_proctable_process *p)
{
	return p->on_node.utime + p->on_node.stime;
}

/* Since the time before, where there was one. */
static void compute(const struct top *t, const struct ssi_proctable *table, struct process_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct ssi_proctable_process *p = rows[i].p;
		const struct was *was = find_was(t, p->pid);
		uint64_t seen = ssi_proctable_node(table, p)->seen_ms;

		if (was && was->start == p->on_node.start && seen > was->seen_ms && used(p) >= was->used)
			rows[i].cpu = (unsigned)((used(p) - was->used) * 10 * 1000 / (seen - was->seen_ms));
	}
}

static void remember(struct top *t, const struct ssi_proctable *table)
{
	struct was *was = reallocarray(t->was, table->head->n + 1u, sizeof(*was));

	if (!was)
		return;
	t->was = was;
	t->n_was = table->head->n;
	for (size_t i = 0; i < t->n_was; i++) {
		const struct ssi_proctable_process *p = &table->processes[i];

		was[i] = (struct was){ p->pid, p->on_node.start, used(p), ssi_proctable_node(table, p)->seen_ms };
	}
}

/* All nodes together, whatever is shown of their processes. */
static void add_up(const struct top *t, struct totals *ret)
{
	const struct ssi_loadtable_node *node;
	struct ssi_loadtable table;
	struct ssi_load load;
	const void *p;
	size_t n;

	memset(ret, 0, sizeof(*ret));
	if (ssi_viewfile_map(t->nodes, ssi_clock_wall_ms() - TOP_NODES_AGE_MS, TOP_NODES_WAIT_MS, &p, &n, NULL) < 0 || ssi_loadtable_open(&table, p, n) < 0)
		return;
	while (ssi_loadtable_next(&table, &node, &load) > 0) {
		ret->nodes++;
		ret->cpus += node->n_cpus;
		ret->busy += (double)node->busy / 1000 * node->n_cpus;
		ret->memory += load.values[SSI_LOAD_MEM_TOTAL] * 1024;
		ret->available += load.values[SSI_LOAD_MEM_AVAILABLE] * 1024;
	}
}

static void print_head(const struct ssi_proctable *table, const struct totals *s, FILE *to)
{
	uint64_t now = ssi_clock_wall_ms(), age = now > table->head->written_ms ? now - table->head->written_ms : 0;
	time_t at = (time_t)(now / 1000);
	char clock[16], memory[16], in_use[16];
	unsigned running = 0;
	struct tm tm;

	for (uint32_t i = 0; i < table->head->n; i++)
		running += table->processes[i].on_node.state == 'R';
	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&at, &tm));
	fprintf(to, "%s, as of %.1f s ago: %u node%s, %u processes, %u running\n", clock, (double)age / 1000, table->head->n_nodes, ssi_num_plural(table->head->n_nodes),
		table->head->n, running);
	fprintf(to, "%u processor%s, %.1f busy (%.1f %%); memory %s, %s in use\n\n", s->cpus, ssi_num_plural(s->cpus), s->busy, s->cpus ? s->busy * 100 / s->cpus : 0,
		ssi_num_format_size(memory, sizeof(memory), s->memory), ssi_num_format_size(in_use, sizeof(in_use), s->memory - s->available));
}

static void print_json(const struct ssi_proctable *table, const struct totals *s, const struct process_row *rows, size_t n)
{
	_cleanup_json_ json_t *o = json_pack("{s:I, s:{s:i, s:i, s:f, s:I, s:I}}", "written", (json_int_t)table->head->written_ms, "nodes", "count", (int)s->nodes,
					     "cpus", (int)s->cpus, "busy", s->busy, "memory", (json_int_t)s->memory, "available", (json_int_t)s->available);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *p = ssi_procjson(table, rows[i].p);

		json_object_set_new(p, "cpu", json_real((double)rows[i].cpu / 1000));
		json_array_append_new(list, p);
	}
	json_object_set_new(o, "processes", list);
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
}

/* As much as the screen holds, over what was there. */
static void print_screen(char *text, const struct winsize *size)
{
	unsigned lines = 0;

	fputs("\033[H", stdout);
	for (char *line = text, *end; *line && lines < size->ws_row; line = end, lines++) {
		end = strchrnul(line, '\n');
		printf("%s%.*s\033[K", lines ? "\r\n" : "", (int)(end - line < size->ws_col ? end - line : size->ws_col), line);
		end += *end == '\n';
	}
	fputs("\033[J", stdout);
	fflush(stdout);
}

static int print_text(const struct top *t, const struct ssi_proctable *table, const struct totals *s, const struct process_row *rows, size_t n)
{
	struct winsize size = { 0 };
	char *text = NULL;
	size_t len = 0;
	FILE *to = t->screen ? open_memstream(&text, &len) : stdout;

	if (!to)
		return -errno;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row || !size.ws_col)
		size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	if (t->screen && size.ws_row > TOP_HEAD && n > (size_t)(size.ws_row - TOP_HEAD))
		n = size.ws_row - TOP_HEAD;
	print_head(table, s, to);
	process_print(t->columns, table, rows, n, to);
	if (!t->screen) {
		putchar('\n');
		fflush(stdout);
		return 0;
	}
	if (fclose(to) == 0)
		print_screen(text, &size);
	free(text);
	return 0;
}

static int show(struct top *t, struct ssi_err *e)
{
	_cleanup_free_ struct process_row *rows = NULL;
	struct ssi_proctable table;
	struct totals totals;
	size_t n, kept = 0;
	int r = process_table(t->processes, &table, e);

	if (r < 0)
		return r;
	if (process_select(&table, &t->filter, &rows, &n) < 0)
		return ssi_errno(e, -ENOMEM, "processes");
	compute(t, &table, rows, n);
	for (size_t i = 0; i < n; i++)
		if (t->screen || t->all || rows[i].cpu || rows[i].p->on_node.state == 'R')
			rows[kept++] = rows[i];
	process_sort(rows, kept, &table, t->sort, NULL);
	add_up(t, &totals);
	if (t->json)
		print_json(&table, &totals, rows, kept);
	else
		print_text(t, &table, &totals, rows, kept);
	remember(t, &table);
	return 0;
}

/* Until it is time for the next, or a key wants it at once. false: enough. */
static bool pause_for_next(struct top *t)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	char key;

	if (poll(&p, t->screen, (int)t->delay_ms) <= 0 || ended)
		return !ended;
	if (read(STDIN_FILENO, &key, 1) != 1)
		return false;
	switch (key) {
	case 'q':
	case 3:                          /* Ctrl-C */
		return false;
	case 'M':
		t->sort = "-rss";
		break;
	case 'T':
		t->sort = "-time";
		break;
	case 'P':
		t->sort = "-pcpu";
		break;
	}
	return true;
}

static int run(struct top *t)
{
	struct termios was, raw;
	struct ssi_err e = { 0 };
	int r = 0;

	if (t->screen) {
		if (tcgetattr(STDIN_FILENO, &was) < 0)
			was.c_lflag = 0;
		raw = was;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
		fputs("\033[?1049h\033[?25l", stdout);
	}
	for (uint32_t i = 0; r >= 0 && !ended; i++) {
		r = show(t, &e);
		if (r < 0 || (t->count && i + 1 >= t->count) || !pause_for_next(t))
			break;
	}
	if (t->screen) {
		fputs("\033[?25h\033[?1049l", stdout);
		fflush(stdout);
		tcsetattr(STDIN_FILENO, TCSADRAIN, &was);
	}
	if (r < 0)
		fprintf(stderr, "ssi: top: %s\n", e.text);
	return r < 0 ? 1 : 0;
}

static int options(struct ssi_cmd_args *a, struct top *t, struct ssi_nodelist **nodes, uint32_t **uids, struct ssi_err *e)
{
	const char *count = ssi_cmd_opt(a, "count"), *delay = ssi_cmd_opt(a, "delay"), *node = ssi_cmd_opt(a, "node"), *user = ssi_cmd_opt(a, "user");
	int r = 0;

	t->json = ssi_cmd_json(a);
	t->all = ssi_cmd_opt(a, "all");
	t->screen = !t->json && !ssi_cmd_opt(a, "batch");
	t->count = t->json;
	t->delay_ms = 3000;
	t->sort = "-pcpu";
	t->filter.all = !user;
	if (t->screen && (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)))
		return ssi_errf(e, -EINVAL, "there is no terminal here: use -b");
	if (count && ssi_num_u32(count, 1, UINT32_MAX, &t->count) < 0)
		return ssi_errf(e, -EINVAL, "--count=%s: not a number of 1 or more", count);
	if (delay && (ssi_num_duration_ms(delay, &t->delay_ms) < 0 || t->delay_ms < 100 || t->delay_ms > INT32_MAX))
		return ssi_errf(e, -EINVAL, "--delay=%s: not a time of 100ms or more", delay);
	if (node)
		r = ssi_nodelist_parse(node, nodes, e);
	if (r >= 0 && user)
		r = process_users(user, uids, &t->filter.n_uids, e);
	t->filter.nodes = *nodes;
	t->filter.uids = *uids;
	return r < 0 ? r : process_columns(TOP_COLUMNS, &t->columns, e);
}

int verb_top(struct ssi_cmd_args *a, int argc, char **argv)
{
	static const int ends[] = { SIGTERM, SIGHUP, SIGINT };
	const struct sigaction act = { .sa_handler = on_end };
	_cleanup_viewfile_ struct ssi_viewfile *processes = NULL, *nodes = NULL;
	_cleanup_nodelist_ struct ssi_nodelist *range = NULL;
	_cleanup_free_ uint32_t *uids = NULL;
	struct top t = { 0 };
	struct ssi_err e = { 0 };
	int r = options(a, &t, &range, &uids, &e), status = r < 0 ? 2 : 1;

	if (r >= 0)
		r = ssi_viewfile_open(NULL, "processes", &processes, &e);
	if (r >= 0)
		r = ssi_viewfile_open(NULL, "nodes", &nodes, &e);
	if (r >= 0) {
		t.processes = processes;
		t.nodes = nodes;
		for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
			sigaction(ends[i], &act, NULL);
		status = run(&t);
	} else
		fprintf(stderr, "ssi: top: %s\n", e.text);
	free(t.was);
	free(t.columns);
	return status;
}
