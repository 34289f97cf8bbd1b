/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A job on the side of who started it, the daemon's place taken by the test: streams over breaks, the record, what is said again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "libssi/base/buf.h"
#include "libssi/comm/jobframe.h"
#include "libssi/model/wire.h"
#include "ssi/rexec/job.pb-c.h"
#include "ssi/rexec/pack.h"
#include "ssi/rexec/run.h"

#define JOB 4711
static const char path[] = "test-run.sock";

struct far {
	struct ssi_run *run;
	struct ssi_jobhop hop;
	struct ssi_buf out[5];
	bool ended[5];
	int door;
};

ssize_t ssi_pack_piece(struct ssi_pack *p, const uint8_t digest[SSI_HASH_BYTES], uint64_t offset, Ssi__Job__Blob *ret, struct ssi_err *e)
{
	static uint8_t piece[] = "the program";

	ssi__job__blob__init(ret);
	ret->digest = (ProtobufCBinaryData){ SSI_HASH_BYTES, (uint8_t *)digest };
	ret->size = ret->data.len = sizeof(piece);
	ret->data.data = piece;
	return sizeof(piece);
}

static void on_output(struct ssi_run *r, unsigned stream, const void *p, size_t n, void *userdata)
{
	struct far *f = userdata;

	assert_false(f->ended[stream]);
	f->ended[stream] = !n;
	ssi_buf_add(&f->out[stream], p, n);
	ssi_run_consumed(r, stream, n);
}

static const struct ssi_run_ops ops = { .output = on_output };
static const Ssi__Job__Spec spec = SSI__JOB__SPEC__INIT;

static void begin(struct far *f)
{
	const struct ssi_run_place place = { .node = "n01", .job = JOB, .pid = 1 << 20 };
	struct ssi_err e;
	int s[2];

	*f = (struct far){ .door = ssi_jobhop_listen(path, 0600, &e) };
	assert_true(f->door >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	ssi_jobhop_init(&f->hop, s[1]);
	assert_int_equal(ssi_run_new(path, s[0], &place, &spec, NULL, &ops, f, &f->run, &e), 0);
}

static void end(struct far *f)
{
	ssi_run_free(f->run);
	ssi_jobhop_close(&f->hop);
	for (int i = 0; i < 5; i++)
		ssi_buf_free(&f->out[i]);
	close(f->door);
	unlink(path);
}

static void say(struct far *f, uint16_t type, const ProtobufCMessage *m)
{
	uint8_t p[4096];

	assert_int_equal(ssi_jobhop_send(&f->hop, type, JOB, p, protobuf_c_message_pack(m, p)), 0);
}

static void say_data(struct far *f, uint32_t stream, uint64_t offset, const char *text, bool last)
{
	Ssi__Job__Data m = SSI__JOB__DATA__INIT;

	m.stream = stream;
	m.offset = offset;
	m.data = (ProtobufCBinaryData){ strlen(text), (uint8_t *)text };
	m.end = last;
	say(f, SSI_JOB_DATA, &m.base);
}

static int step(struct far *f)
{
	struct ssi_err e;

	return ssi_run_step(f->run, POLLIN, &e);
}

/* The next frame is of this type; its body. */
static const uint8_t *heard(struct far *f, uint16_t type, size_t *ret_n)
{
	struct ssi_jobframe frame;
	const uint8_t *body;
	int r = ssi_jobhop_next(&f->hop, &frame, &body);

	if (r == 0) {
		assert_true(ssi_jobhop_read(&f->hop) > 0);
		r = ssi_jobhop_next(&f->hop, &frame, &body);
	}
	assert_int_equal(r, 1);
	assert_int_equal(frame.job, JOB);
	assert_int_equal(frame.type, type);
	*ret_n = frame.size;
	return body;
}

static void say_exit(struct far *f, uint64_t out)
{
	Ssi__Job__Exit m = SSI__JOB__EXIT__INIT;
	Ssi__Job__Ack a = SSI__JOB__ACK__INIT, *list[] = { &a };

	m.status = 5;
	a.stream = 1;
	a.offset = out;
	m.ends = list;
	m.n_ends = 1;
	say(f, SSI_JOB_EXIT, &m.base);
}

static void test_whole(void **state)
{
	uint8_t digest[SSI_HASH_BYTES] = { 1 };
	ProtobufCBinaryData one = { sizeof(digest), digest };
	Ssi__Job__Need need = SSI__JOB__NEED__INIT;
	Ssi__Job__Started started = SSI__JOB__STARTED__INIT;
	struct far f;
	size_t n;

	begin(&f);
	heard(&f, SSI_JOB_SPEC, &n);
	need.digests = &one;
	need.n_digests = 1;
	say(&f, SSI_JOB_NEED, &need.base);
	assert_int_equal(step(&f), SSI_RUN_SENDING);
	heard(&f, SSI_JOB_BLOB, &n);
	say(&f, SSI_JOB_STARTED, &started.base);
	assert_int_equal(step(&f), SSI_RUN_RUNNING);
	say_data(&f, 1, 0, "hello ", false);
	say_data(&f, 1, 0, "hello wor", false);  /* what was had already is passed over */
	say_data(&f, 1, 12, "lost", false);      /* what does not follow comes again */
	say_data(&f, 1, 9, "ld\n", true);
	say_exit(&f, 12);
	assert_int_equal(step(&f), SSI_RUN_ENDED);
	assert_string_equal(f.out[1].data, "hello world\n");
	assert_true(f.ended[1] && f.ended[2]);
	assert_int_equal(ssi_run_exit(f.run)->status, 5);
	heard(&f, SSI_JOB_EXIT_ACK, &n);
	end(&f);
}

static void test_record_waits_for_output(void **state)
{
	struct far f;
	size_t n;

	begin(&f);
	heard(&f, SSI_JOB_SPEC, &n);
	say_exit(&f, 4);
	assert_int_not_equal(step(&f), SSI_RUN_ENDED);
	say_data(&f, 1, 0, "text", true);
	assert_int_equal(step(&f), SSI_RUN_ENDED);
	end(&f);
}

/* The daemon goes away: the next one hears what there is, gets the input again, and everything is there once. */
static void test_broken(void **state)
{
	Ssi__Job__Attach *a;
	Ssi__Job__Ack ack = SSI__JOB__ACK__INIT;
	Ssi__Job__Data *d;
	const uint8_t *p;
	struct pollfd w;
	struct far f;
	size_t n;

	begin(&f);
	heard(&f, SSI_JOB_SPEC, &n);
	assert_int_equal(ssi_run_input(f.run, 0, "abcdef", 6), 0);
	heard(&f, SSI_JOB_DATA, &n);
	ack.offset = 2;
	say(&f, SSI_JOB_ACK, &ack.base);
	say_data(&f, 1, 0, "one", false);
	step(&f);
	ssi_jobhop_close(&f.hop);
	step(&f);
	poll(NULL, 0, ssi_run_poll(f.run, &w) + 1);
	step(&f);
	ssi_jobhop_init(&f.hop, accept(f.door, NULL, NULL));
	p = heard(&f, SSI_JOB_ATTACH, &n);
	a = ssi__job__attach__unpack(NULL, n, p);
	assert_int_equal(a->have[0]->offset, 3);
	ssi__job__attach__free_unpacked(a, NULL);
	p = heard(&f, SSI_JOB_DATA, &n);
	d = ssi__job__data__unpack(NULL, n, p);
	assert_int_equal(d->offset, 2);
	assert_int_equal(d->data.len, 4);
	ssi__job__data__free_unpacked(d, NULL);
	say_data(&f, 1, 0, "one two", true);
	say_exit(&f, 7);
	assert_int_equal(step(&f), SSI_RUN_ENDED);
	assert_string_equal(f.out[1].data, "one two");
	end(&f);
}

/* It had run nowhere: it is started again. Later it is lost with its node. */
static void test_gone(void **state)
{
	Ssi__Job__Gone gone = SSI__JOB__GONE__INIT;
	Ssi__Job__Started started = SSI__JOB__STARTED__INIT;
	struct far f;
	size_t n;

	begin(&f);
	heard(&f, SSI_JOB_SPEC, &n);
	say(&f, SSI_JOB_GONE, &gone.base);
	assert_int_equal(step(&f), SSI_RUN_SENDING);
	heard(&f, SSI_JOB_SPEC, &n);
	say(&f, SSI_JOB_STARTED, &started.base);
	say(&f, SSI_JOB_GONE, &gone.base);
	assert_int_equal(step(&f), SSI_RUN_ENDED);
	assert_int_equal(ssi_run_exit(f.run)->cause, SSI_RUN_NODE_LOST);
	end(&f);
}

/* Another's job is taken up: it says itself where its streams stand, and its input is at its end. */
static void test_attach(void **state)
{
	const struct ssi_run_place place = { .job = JOB };
	Ssi__Job__Need need = SSI__JOB__NEED__INIT;
	Ssi__Job__Ack ack = SSI__JOB__ACK__INIT;
	Ssi__Job__Attach *a;
	Ssi__Job__Data *d;
	struct ssi_err e;
	struct far f = { .door = ssi_jobhop_listen(path, 0600, &e) };
	const uint8_t *p;
	size_t n;

	assert_int_equal(ssi_run_attach(path, -1, &place, &ops, &f, &f.run, &e), 0);
	ssi_jobhop_init(&f.hop, accept(f.door, NULL, NULL));
	p = heard(&f, SSI_JOB_ATTACH, &n);
	a = ssi__job__attach__unpack(NULL, n, p);
	assert_int_equal(a->n_have, 0);
	ssi__job__attach__free_unpacked(a, NULL);
	say(&f, SSI_JOB_NEED, &need.base);       /* it waits for nothing */
	ack.offset = 11;
	say(&f, SSI_JOB_ACK, &ack.base);
	say_data(&f, 1, 100, "rest", false);
	step(&f);
	p = heard(&f, SSI_JOB_DATA, &n);
	d = ssi__job__data__unpack(NULL, n, p);
	assert_int_equal(d->offset, 11);
	assert_true(d->end && !d->data.len);
	ssi__job__data__free_unpacked(d, NULL);
	say_data(&f, 1, 102, "st.", true);
	say_exit(&f, 105);
	assert_int_equal(step(&f), SSI_RUN_ENDED);
	assert_string_equal(f.out[1].data, "rest.");
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole), cmocka_unit_test(test_record_waits_for_output), cmocka_unit_test(test_broken), cmocka_unit_test(test_gone),
		cmocka_unit_test(test_attach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
