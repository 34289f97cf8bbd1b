/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A real ssi-keeper in a folder of its own, and the agent's end of its socket: what a client at the far end would see. Streams are kept as they come, and
 * each piece is checked to be where the last one ended. Whatever is waited for has a bound.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <cmocka.h>
#include "libssi/base/buf.h"
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "libssi/comm/jobframe.h"
#include "libssi/model/wire.h"
#include "ssi/rexec/job.pb-c.h"
#include "ssi/rexec/pack.h"

#define KEEPER_WAIT_MS 20000
#define KEEPER_USER 65534

struct keeper_test {
	char dir[64];                    /* the agent's folder */
	char program[256];               /* ssi-keeper */
	pid_t keeper;
	uint64_t job;
	struct ssi_jobhop hop;
	struct ssi_buf out[5];           /* by stream */
	uint64_t at[5];                  /* so much of each has come */
	uint64_t acked[6];               /* of what we say, by stream */
	bool end[5], mute;               /* mute: nothing is acknowledged */
	unsigned needs, blobs, started, exits;   /* blobs: asked for, in all */
	struct ssi_pack *pack;           /* where they come from; NULL: nobody has any */
	Ssi__Job__Need *need;            /* what is asked for */
	size_t need_at;                  /* of it is sent */
	uint64_t blob_at, sent, at_most; /* of the one that is being sent; data since NEED; at_most: then no more is sent, 0 = all */
	char cgroup[256];                /* of the job; "" = it has none */
	uint32_t pid;                    /* as the node sees the program */
	Ssi__Job__State__What what;
	uint64_t what_at;                /* so much of its standard output had come before that */
	Ssi__Job__Exit *exit;
};

static inline void keeper_say(struct keeper_test *t, uint16_t type, const ProtobufCMessage *m)
{
	uint8_t buf[SSI_JOBFRAME_MAX];
	size_t n = m ? protobuf_c_message_pack(m, buf) : 0;

	ssi_jobhop_send(&t->hop, type, t->job, buf, n);
}

static inline void keeper_open(struct keeper_test *t)
{
	char path[128];

	*t = (struct keeper_test){ .dir = "/tmp/test-keeper-XXXXXX", .job = 7, .hop = SSI_JOBHOP_INIT };
	assert_non_null(realpath("ssi-keeper/ssi-keeper", t->program));
	assert_non_null(mkdtemp(t->dir));
	assert_int_equal(chmod(t->dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/jobs", t->dir);
	assert_int_equal(mkdir(path, 0711), 0);
	snprintf(path, sizeof(path), "%s/jobs/7", t->dir);
	assert_int_equal(mkdir(path, 0711), 0);
}

/* A keeper without a job. */
static inline void keeper_spawn(struct keeper_test *t)
{
	int p[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
	t->keeper = fork();
	assert_true(t->keeper >= 0);
	if (t->keeper == 0) {
		dup2(p[1], 0);
		if (chdir(t->dir) < 0)
			_exit(1);
		execl(t->program, t->program, NULL);
		_exit(1);
	}
	close(p[1]);
	ssi_jobhop_init(&t->hop, p[0]);
}

/* One that is a copy of a process that makes copies: that one's pid, the caller's child. */
static inline pid_t keeper_copy(struct keeper_test *t)
{
	union { struct cmsghdr head; char bytes[CMSG_SPACE(sizeof(int))]; } control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec v = { (char *)"", 1 };
	const struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	int p[2], q[2];
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, q), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(p[1], 0);
		if (chdir(t->dir) < 0)
			_exit(1);
		execl(t->program, t->program, "--copies", NULL);
		_exit(1);
	}
	memcpy(CMSG_DATA(&control.head), &q[1], sizeof(q[1]));
	assert_int_equal(sendmsg(p[0], &msg, 0), 1);
	close(p[0]);
	close(p[1]);
	close(q[1]);
	ssi_jobhop_init(&t->hop, q[0]);
	return pid;
}

static inline void keeper_data(struct keeper_test *t, const Ssi__Job__Data *m)
{
	Ssi__Job__Ack ack = SSI__JOB__ACK__INIT;

	assert_in_range(m->stream, 1, 4);
	if (m->offset > t->at[m->stream])
		return;                          /* sent before a break */
	assert_int_equal(m->offset, t->at[m->stream]);
	ssi_buf_add(&t->out[m->stream], m->data.data, m->data.len);
	t->at[m->stream] += m->data.len;
	t->end[m->stream] |= m->end;
	ack.stream = m->stream;
	ack.offset = t->at[m->stream];
	if (!t->mute)
		keeper_say(t, SSI_JOB_ACK, &ack.base);
}

static inline void keeper_cgroup(struct keeper_test *t)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/jobs/7/cgroup", t->dir);
	(void)ssi_file_read_line(path, t->cgroup, sizeof(t->cgroup));
}

static inline void keeper_need(struct keeper_test *t, const struct ssi_jobframe *f, const uint8_t *body)
{
	if (t->need)
		ssi__job__need__free_unpacked(t->need, NULL);
	t->need = ssi__job__need__unpack(NULL, f->size, body);
	assert_non_null(t->need);
	t->needs++;
	t->blobs += (unsigned)t->need->n_digests;
	t->need_at = 0;
	t->blob_at = t->sent = t->acked[5] = 0;
}

/* What was asked for, as far as the window is. */
static inline void keeper_blobs(struct keeper_test *t)
{
	while (t->pack && t->need && t->need_at < t->need->n_digests && t->sent - t->acked[5] < SSI_JOB_WINDOW_BYTES - SSI_JOBFRAME_PIECE) {
		Ssi__Job__Blob m = SSI__JOB__BLOB__INIT;
		ssize_t n;

		if (t->at_most && t->sent >= t->at_most)
			return;
		n = ssi_pack_piece(t->pack, t->need->digests[t->need_at].data, t->blob_at, &m, NULL);
		assert_true(n >= 0);
		keeper_say(t, SSI_JOB_BLOB, &m.base);
		t->sent += m.data.len;
		t->blob_at += (uint64_t)n;
		if (t->blob_at == m.size) {
			t->need_at++;
			t->blob_at = 0;
		}
	}
}

static inline void keeper_heard(struct keeper_test *t, const struct ssi_jobframe *f, const uint8_t *body)
{
	assert_int_equal(f->job, t->job);
	if (f->type == SSI_JOB_NEED) {
		keeper_need(t, f, body);
	} else if (f->type == SSI_JOB_STARTED) {
		Ssi__Job__Started *m = ssi__job__started__unpack(NULL, f->size, body);

		t->pid = m->pid;
		keeper_cgroup(t);
		t->started++;
		t->what = SSI__JOB__STATE__WHAT__RUNNING;
		ssi__job__started__free_unpacked(m, NULL);
	} else if (f->type == SSI_JOB_STATE) {
		Ssi__Job__State *m = ssi__job__state__unpack(NULL, f->size, body);

		t->what = m->what;
		t->what_at = t->at[1];
		ssi__job__state__free_unpacked(m, NULL);
	} else if (f->type == SSI_JOB_DATA) {
		Ssi__Job__Data *m = ssi__job__data__unpack(NULL, f->size, body);

		keeper_data(t, m);
		ssi__job__data__free_unpacked(m, NULL);
	} else if (f->type == SSI_JOB_ACK) {
		Ssi__Job__Ack *m = ssi__job__ack__unpack(NULL, f->size, body);

		assert_in_range(m->stream, 0, 5);
		t->acked[m->stream] = m->offset;
		ssi__job__ack__free_unpacked(m, NULL);
	} else if (f->type == SSI_JOB_EXIT) {
		if (t->exit)
			ssi__job__exit__free_unpacked(t->exit, NULL);
		t->exit = ssi__job__exit__unpack(NULL, f->size, body);
		assert_non_null(t->exit);
		t->exits++;
	}
}

/* What is there, or comes within ms; false at the end of the connection. */
static inline bool keeper_hear(struct keeper_test *t, int ms)
{
	struct pollfd p = { .fd = t->hop.fd, .events = POLLIN };
	struct ssi_jobframe f;
	const uint8_t *body;

	keeper_blobs(t);
	p.events = (short)(POLLIN | (ssi_jobhop_waits(&t->hop) ? POLLOUT : 0));
	if (poll(&p, 1, ms) <= 0)
		return true;
	if (p.revents & POLLOUT && ssi_jobhop_flush(&t->hop) < 0)
		return false;
	if (!(p.revents & ~POLLOUT))
		return true;
	if (ssi_jobhop_read(&t->hop) <= 0)
		return false;
	while (ssi_jobhop_next(&t->hop, &f, &body) > 0)
		keeper_heard(t, &f, body);
	return true;
}

#define keeper_until(t, condition) do { \
	uint64_t end_ = ssi_clock_mono_ms() + KEEPER_WAIT_MS; \
	while (!(condition)) { \
		if (ssi_clock_mono_ms() > end_) \
			fail_msg("not seen: %s", #condition); \
		if (!keeper_hear(t, 200)) \
			fail_msg("hung up before: %s", #condition); \
	} } while (0)

/* What is not heard but looked for. */
#define keeper_comes(condition) do { \
	uint64_t end_ = ssi_clock_mono_ms() + KEEPER_WAIT_MS; \
	while (!(condition)) { \
		if (ssi_clock_mono_ms() > end_) \
			fail_msg("does not come: %s", #condition); \
		usleep(5000); \
	} } while (0)

static inline void keeper_attach(struct keeper_test *t)
{
	Ssi__Job__Attach m = SSI__JOB__ATTACH__INIT;
	Ssi__Job__Ack have[3], *of[3];
	static const uint32_t streams[] = { 1, 2, 4 };
	char path[128];

	ssi_jobhop_close(&t->hop);
	if (t->need)
		ssi__job__need__free_unpacked(TAKE_PTR(t->need), NULL);      /* it comes again */
	snprintf(path, sizeof(path), "%s/jobs/7/socket", t->dir);
	ssi_jobhop_init(&t->hop, ssi_jobhop_connect(path, NULL));
	assert_true(t->hop.fd >= 0);
	for (size_t i = 0; i < 3; i++) {
		ssi__job__ack__init(&have[i]);
		have[i].stream = streams[i];
		have[i].offset = t->at[streams[i]];
		of[i] = &have[i];
	}
	m.have = of;
	m.n_have = 3;
	keeper_say(t, SSI_JOB_ATTACH, &m.base);
}

static inline bool keeper_has(const struct keeper_test *t, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/jobs/7%s%s", t->dir, name[0] ? "/" : "", name);
	return access(path, F_OK) == 0;
}

/* Says that all has arrived; nothing may be left of it. */
static inline void keeper_over(struct keeper_test *t)
{
	int status;

	keeper_say(t, SSI_JOB_EXIT_ACK, NULL);
	assert_int_equal(waitpid(t->keeper, &status, 0), t->keeper);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_false(keeper_has(t, ""));
	t->keeper = 0;
}

static inline void keeper_close(struct keeper_test *t)
{
	if (t->keeper > 0) {
		kill(t->keeper, SIGKILL);
		waitpid(t->keeper, NULL, 0);
	}
	ssi_jobhop_close(&t->hop);
	for (size_t i = 0; i < 5; i++)
		ssi_buf_free(&t->out[i]);
	if (t->exit)
		ssi__job__exit__free_unpacked(t->exit, NULL);
	if (t->need)
		ssi__job__need__free_unpacked(t->need, NULL);
	ssi_pack_free(t->pack);
	assert_true(!t->cgroup[0] || access(t->cgroup, F_OK) < 0);
	assert_int_equal(ssi_path_rmtree(t->dir), 0);
}

/* A job of an ordinary user: a command for the shell. The Spec is the caller's to add to, then keeper_start says it. */
struct keeper_spec { Ssi__Job__Spec spec; ProtobufCBinaryData argv[3], env[2]; uint32_t groups[1]; };
static inline void keeper_spec(struct keeper_spec *s, const char *command)
{
	static const char *const words[] = { "/bin/sh", "-c" };

	*s = (struct keeper_spec){ .spec = SSI__JOB__SPEC__INIT };
	for (size_t i = 0; i < 3; i++) {
		const char *word = i < 2 ? words[i] : command;

		s->argv[i] = (ProtobufCBinaryData){ strlen(word), (uint8_t *)word };
	}
	s->env[0] = (ProtobufCBinaryData){ strlen("PATH=/usr/bin:/bin"), (uint8_t *)"PATH=/usr/bin:/bin" };
	s->env[1] = (ProtobufCBinaryData){ strlen("MARK=here"), (uint8_t *)"MARK=here" };
	s->groups[0] = KEEPER_USER;
	s->spec.pid = 1500000;
	s->spec.uid = s->spec.gid = KEEPER_USER;
	s->spec.n_groups = 1;
	s->spec.groups = s->groups;
	s->spec.n_argv = 3;
	s->spec.argv = s->argv;
	s->spec.n_env = 2;
	s->spec.env = s->env;
	s->spec.umask = 027;
}

static inline void keeper_start(struct keeper_test *t, const struct keeper_spec *s)
{
	keeper_spawn(t);
	keeper_say(t, SSI_JOB_SPEC, &s->spec.base);
}

static inline bool keeper_ended(const struct keeper_test *t)
{
	if (!t->exit)
		return false;
	for (size_t i = 0; i < t->exit->n_ends; i++)
		if (t->exit->ends[i]->stream && t->at[t->exit->ends[i]->stream] < t->exit->ends[i]->offset)
			return false;
	return true;
}

/* A group's teardown: what the first keeper made for all. */
static inline int keeper_clean(void **state)
{
	(void)rmdir("/sys/fs/cgroup/ssi-jobs");
	(void)rmdir("/sys/fs/cgroup/unified/ssi-jobs");
	return 0;
}
