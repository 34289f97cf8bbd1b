/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi/rexec/run: any bytes as what the daemon and a node say of a job; output comes in order and once, and what was not given is not sent. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "ssi/rexec/job.pb-c.h"
#include "ssi/rexec/pack.h"
#include "ssi/rexec/run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In place of a program's files: one of three pieces. */
ssize_t ssi_pack_piece(struct ssi_pack *p, const uint8_t digest[SSI_HASH_BYTES], uint64_t offset, Ssi__Job__Blob *ret, struct ssi_err *e)
{
	static uint8_t piece[1000];

	if (digest[0] == 255)
		return ssi_errf(e, -2, "no such file");
	ssi__job__blob__init(ret);
	ret->offset = offset;
	ret->size = 3 * sizeof(piece);
	ret->data = (ProtobufCBinaryData){ sizeof(piece), piece };
	return sizeof(piece);
}

static void on_output(struct ssi_run *r, unsigned stream, const void *p, size_t n, void *userdata)
{
	bool *ended = userdata;

	if ((stream != 1 && stream != 2 && stream != 4) || ended[stream])
		abort();
	ended[stream] = !n;
	ssi_run_consumed(r, stream, n);
}

static void drop(int fd)
{
	char buf[65536];

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ssi_run_ops ops = { .output = on_output };
	Ssi__Job__Spec spec = SSI__JOB__SPEC__INIT;
	struct ssi_run_place place = { .job = 7 };
	bool ended[SSI_RUN_STREAMS] = { false };
	struct ssi_run *r = NULL;
	struct ssi_err e;
	int s[2], k = 0, begun;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0)
		return 0;
	/* An odd size: the job was another's. */
	begun = size % 2 ? ssi_run_attach("/nonexistent/jobs.sock", s[0], &place, &ops, ended, &r, &e) :
			   ssi_run_new("/nonexistent/jobs.sock", s[0], &place, &spec, NULL, &ops, ended, &r, &e);
	if (begun == 0) {
		ssi_run_input(r, 0, "some input", 10);
		for (size_t at = 0; at < size && k >= 0; at += 97) {
			size_t n = size - at < 97 ? size - at : 97;

			if (send(s[1], data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
				break;
			k = ssi_run_step(r, POLLIN, &e);
			drop(s[1]);
		}
		if (k == SSI_RUN_ENDED && !ssi_run_exit(r))
			abort();
	}
	ssi_run_free(r);
	close(s[1]);
	return 0;
}
