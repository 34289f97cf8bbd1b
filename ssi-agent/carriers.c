/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the processes that give and take blobs (carry.c), and what the master says and hears of them. Called by ccm and the loop. The end of a taker is told to
 * the keeper of its job, whatever became of it: that looks for itself what is here.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "libssi/base/hash.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "libssi/base/spawn.h"
#include "libssi/comm/jobframe.h"
#include "libssi/comm/tls.h"
#include "ssi-agent/carriers.h"
#include "ssi/rexec/job.pb-c.h"

#define CARRIERS_MAX 64

struct carrier {
	LIST_ENTRY(carrier) link;
	struct agent *a;
	uint64_t job;
	bool gives, said;                    /* said: its port, or that there is none */
	int out;
	sd_event_source *io, *child;
	char line[16];                       /* the port that a giver says */
	size_t len;
};
struct carriers { LIST_HEAD(, carrier) all; unsigned n; };

static void carrier_said(struct carrier *c, uint32_t port)
{
	struct ssi_ccm_conn *conn = ssi_member_conn(c->a->member);
	Ssi__Job__Gives m = SSI__JOB__GIVES__INIT;
	uint8_t buf[16];

	m.port = port;
	if (conn)
		ssi_ccm_send(conn, SSI_MOD_JOB, SSI_JOB_GIVES, c->job, buf, ssi__job__gives__pack(&m, buf));
	c->said = true;
}

static void carrier_hush(struct carrier *c)
{
	c->io = sd_event_source_disable_unref(c->io);
	if (c->out >= 0)
		close(TAKE_FD(c->out));
}

static void carrier_free(struct carrier *c)
{
	LIST_REMOVE(c, link);
	c->a->carriers->n--;
	carrier_hush(c);
	sd_event_source_disable_unref(c->child);
	free(c);
}

/* A giver's port, and its end. */
static int carrier_on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct carrier *c = userdata;
	ssize_t n = read(fd, c->line + c->len, sizeof(c->line) - 1 - c->len);
	uint32_t port;
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	c->len += n > 0 ? (size_t)n : 0;
	c->line[c->len] = '\0';
	end = strchr(c->line, '\n');
	if (end)
		*end = '\0';
	if (end || n <= 0 || c->len == sizeof(c->line) - 1) {
		if (!c->said)
			carrier_said(c, end && ssi_num_u32(c->line, 1, 65535, &port) == 0 ? port : 0);
		carrier_hush(c);
	}
	return 0;
}

static void carrier_over(struct agent *a, uint64_t job, bool gives)
{
	struct carrier none = { .a = a, .job = job };

	if (gives)
		carrier_said(&none, 0);
	else
		jobs_taken(a, job);
}

static int carrier_on_end(sd_event_source *s, const siginfo_t *si, void *userdata)
{
	struct carrier *c = userdata;
	struct agent *a = c->a;
	uint64_t job = c->job;
	bool over = !c->gives || !c->said, gives = c->gives;

	carrier_free(c);
	if (over)
		carrier_over(a, job, gives);
	return 0;
}

static int carrier_start(struct agent *a, char *const argv[], int in, uint64_t job, bool gives, struct ssi_err *e)
{
	_cleanup_close_ int ours = -1, theirs = -1, report = -1;
	struct carrier *c;
	pid_t pid;
	int p[2], r;

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		return ssi_errno(e, -errno, "pipe");
	ours = p[0];
	theirs = p[1];
	c = calloc(1, sizeof(*c));
	if (!c)
		return ssi_errf(e, -ENOMEM, "no memory to carry blobs");
	*c = (struct carrier){ .a = a, .job = job, .gives = gives, .out = -1 };
	r = ssi_spawn_start(argv, &(struct ssi_spawn_io){ in, gives ? theirs : -1, -1, NULL, NULL }, SSI_SPAWN_PDEATH, &pid, &report, e);
	if (r < 0) {
		free(c);
		return r;
	}
	LIST_INSERT_HEAD(&a->carriers->all, c, link);
	a->carriers->n++;
	r = sd_event_add_child(a->event, &c->child, pid, WEXITED, carrier_on_end, c);
	if (r >= 0 && gives) {
		c->out = TAKE_FD(ours);
		r = sd_event_add_io(a->event, &c->io, c->out, EPOLLIN, carrier_on_io, c);
	}
	if (r < 0) {
		carrier_free(c);
		return ssi_errno(e, r, "event loop");
	}
	return 0;
}

/* What the process reads: the key, and the blobs. */
static int carrier_input(const ProtobufCBinaryData *key, size_t n, const ProtobufCBinaryData *digests, const uint64_t *sizes, struct ssi_err *e)
{
	_cleanup_close_ int fd = memfd_create("carry", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : ssi_fd_write_all(fd, key->data, key->len);

	for (size_t i = 0; i < n && r >= 0; i++) {
		r = ssi_fd_write_all(fd, digests[i].data, digests[i].len);
		if (r >= 0 && sizes) {
			uint64_t size = htole64(sizes[i]);

			r = ssi_fd_write_all(fd, &size, sizeof(size));
		}
	}
	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return ssi_errno(e, r < 0 ? r : -errno, "what is to be carried");
	return TAKE_FD(fd);
}

static bool carrier_ok(const struct agent *a, const ProtobufCBinaryData *key, size_t n, const ProtobufCBinaryData *digests)
{
	bool ok = key->len == SSI_TLS_KEY && n <= CARRIERS_BLOBS && a->carriers->n < CARRIERS_MAX;

	for (size_t i = 0; i < n && ok; i++)
		ok = digests[i].len == SSI_HASH_BYTES;
	return ok;
}

/* The program beside the keeper. */
static char *carrier_program(const struct agent *a)
{
	const char *slash = strrchr(a->keeper, '/');
	char *path;

	return asprintf(&path, "%.*s" CARRIERS_PROGRAM, slash ? (int)(slash - a->keeper + 1) : 0, a->keeper) < 0 ? NULL : path;
}

static int carriers_on_give(struct ssi_ccm_conn *conn, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct agent *a = userdata;
	Ssi__Job__Give *m = ssi__job__give__unpack(NULL, f->size, body);
	_cleanup_free_ char *program = carrier_program(a);
	_cleanup_close_ int in = -1;
	struct ssi_err e;

	if (!m)
		return -EBADMSG;
	if (program && carrier_ok(a, &m->key, m->n_digests, m->digests))
		in = carrier_input(&m->key, m->n_digests, m->digests, NULL, &e);
	ssi__job__give__free_unpacked(m, NULL);
	if (in < 0 || carrier_start(a, (char *[]){ program, (char *)"give", (char *)"blobs", NULL }, in, f->sequence, true, &e) < 0)
		carrier_over(a, f->sequence, true);
	return 0;
}

static int carriers_on_take(struct ssi_ccm_conn *conn, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	struct agent *a = userdata;
	Ssi__Job__Take *m = ssi__job__take__unpack(NULL, f->size, body);
	_cleanup_free_ char *program = carrier_program(a);
	_cleanup_close_ int in = -1;
	char address[INET_ADDRSTRLEN] = "", port[16];
	struct in_addr addr;
	struct ssi_err e;

	if (!m)
		return -EBADMSG;
	if (inet_aton(m->address, &addr))
		inet_ntop(AF_INET, &addr, address, sizeof(address));
	snprintf(port, sizeof(port), "%u", m->port);
	if (program && address[0] && m->n_sizes == m->n_digests && carrier_ok(a, &m->key, m->n_digests, m->digests))
		in = carrier_input(&m->key, m->n_digests, m->digests, m->sizes, &e);
	ssi__job__take__free_unpacked(m, NULL);
	if (in < 0 || carrier_start(a, (char *[]){ program, (char *)"take", (char *)"blobs", address, port, NULL }, in, f->sequence, false, &e) < 0)
		carrier_over(a, f->sequence, false);
	return 0;
}

int carriers_open(struct agent *a, struct ssi_err *e)
{
	const struct ssi_ccm_rule rules[] = {
		{ SSI_MOD_JOB, SSI_JOB_GIVE, SSI_JOBFRAME_MAX, SSI_FROM_MASTER, carriers_on_give, a },
		{ SSI_MOD_JOB, SSI_JOB_TAKE, SSI_JOBFRAME_MAX, SSI_FROM_MASTER, carriers_on_take, a },
	};
	int r;

	a->carriers = calloc(1, sizeof(*a->carriers));
	r = a->carriers ? ssi_ccm_register(a->ccm, rules, sizeof(rules) / sizeof(*rules)) : -ENOMEM;
	return r < 0 ? ssi_errno(e, r, "carrying blobs") : 0;
}

void carriers_close(struct agent *a)
{
	while (a->carriers && LIST_FIRST(&a->carriers->all))
		carrier_free(LIST_FIRST(&a->carriers->all));
	free(a->carriers);
}
