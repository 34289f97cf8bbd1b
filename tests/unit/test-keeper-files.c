/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What travels with a job: its program in pieces, files before it starts and after it has ended, as a real keeper takes and gives them. Only root can try. */
#include "keeper-fixture.h"

static const char *said(struct keeper_test *t, int stream)
{
	return t->out[stream].data ? t->out[stream].data : "";
}

static void say_signal(struct keeper_test *t, int number, bool group)
{
	Ssi__Job__Signal m = SSI__JOB__SIGNAL__INIT;

	m.number = (uint32_t)number;
	m.group = group;
	keeper_say(t, SSI_JOB_SIGNAL, &m.base);
}

/* A program that the node has not: here it has another name, and none any more once it is packed. */
static struct ssi_pack *packed(struct keeper_test *t, const char *program)
{
	struct ssi_pack_ask ask = { 0 };
	struct ssi_pack *pack = NULL;
	char path[128], command[300];
	struct ssi_err e;

	snprintf(path, sizeof(path), "%s/private", t->dir);
	snprintf(command, sizeof(command), "cp %s %s", program, path);
	assert_int_equal(system(command), 0);
	ask.command = path;
	if (ssi_pack_new(&ask, &pack, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(unlink(path), 0);
	return pack;
}

static void folder_again(const struct keeper_test *t)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/jobs/7", t->dir);
	assert_int_equal(mkdir(path, 0711), 0);
}

/* It comes once, whatever breaks while it does; the second time it is there. */
static void test_travels(void **state)
{
	struct keeper_test t;
	struct keeper_spec s;

	keeper_open(&t);
	keeper_spec(&s, "echo $0; exit 3");
	s.argv[0] = (ProtobufCBinaryData){ 7, (uint8_t *)"private" };
	t.pack = packed(&t, "/bin/sh");
	s.spec.program = ssi_pack_program(t.pack);
	t.at_most = 1;
	keeper_start(&t, &s);
	keeper_until(&t, t.acked[5] > 0);
	t.at_most = 0;
	keeper_attach(&t);
	keeper_until(&t, keeper_ended(&t));
	assert_string_equal(t.exit->text, "");
	assert_int_equal(t.exit->status, 3);
	assert_string_equal(said(&t, 1), "private\n");
	assert_int_equal(t.needs, 2);
	assert_int_equal(t.blobs, 2);
	keeper_over(&t);
	folder_again(&t);
	ssi__job__exit__free_unpacked(TAKE_PTR(t.exit), NULL);
	ssi_jobhop_close(&t.hop);
	t.at[1] = 0;
	keeper_start(&t, &s);
	keeper_until(&t, keeper_ended(&t));
	assert_int_equal(t.exit->status, 3);
	assert_int_equal(t.blobs, 2);
	keeper_over(&t);
	keeper_close(&t);
}

/* Ended before it began. */
static void test_ended_early(void **state)
{
	struct keeper_test t;
	struct keeper_spec s;

	keeper_open(&t);
	keeper_spec(&s, "");
	t.pack = packed(&t, "/bin/sh");
	s.spec.program = ssi_pack_program(t.pack);
	t.at_most = 1;
	keeper_start(&t, &s);
	keeper_until(&t, t.acked[5] > 0);
	say_signal(&t, SIGTERM, false);
	keeper_until(&t, keeper_ended(&t));
	assert_int_equal(t.exit->cause, SSI__JOB__EXIT__CAUSE__KILLED);
	assert_int_equal(t.exit->signal, SIGTERM);
	keeper_over(&t);
	keeper_close(&t);
}

static void make(const struct keeper_test *t, const char *script)
{
	char command[512];

	snprintf(command, sizeof(command), "cd %s && %s", t->dir, script);
	assert_int_equal(system(command), 0);
}

/* All of a file, as one stream. */
static void say_file(struct keeper_test *t, uint32_t stream, const char *name)
{
	char path[128], *text;
	size_t n, at = 0;

	snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	assert_int_equal(ssi_file_read(path, 16 << 20, &text, &n), 0);
	while (at <= n) {
		Ssi__Job__Data m = SSI__JOB__DATA__INIT;
		size_t most = n - at < 60000 ? n - at : 60000;

		m.stream = stream;
		m.offset = at;
		m.data = (ProtobufCBinaryData){ most, (uint8_t *)text + at };
		m.end = at + most == n;
		keeper_until(t, at + most - t->acked[stream] <= SSI_JOB_WINDOW_BYTES);
		keeper_say(t, SSI_JOB_DATA, &m.base);
		at += most + (m.end ? 1 : 0);
	}
	free(text);
}

/* Files come before it starts, and a folder of it goes back, also when what it left running still holds its files. */
static void test_files(void **state)
{
	struct keeper_test t;
	struct keeper_spec s;
	char path[128];

	keeper_open(&t);
	make(&t, "mkdir -p in/sub && head -c 3000000 /dev/urandom >in/sub/data && echo x >in/x && ln -s x in/link && chmod 750 in/x && tar -C in -cf in.tar .");
	keeper_spec(&s, "stat -c %a x; readlink link; mkdir -p out/deep; mv sub/data out/deep/data; : >out/held; setsid sleep 1000 >>out/held & exit 4");
	s.spec.files = true;
	s.spec.result = (char *)"out";
	keeper_start(&t, &s);
	say_file(&t, 3, "in.tar");
	keeper_until(&t, keeper_ended(&t));
	assert_string_equal(t.exit->text, "");
	assert_int_equal(t.exit->status, 4);
	assert_string_equal(said(&t, 1), "750\nx\n");
	snprintf(path, sizeof(path), "%s/out.tar", t.dir);
	assert_int_equal(ssi_file_write_atomic(path, t.out[4].data, t.out[4].len, 0600), 0);
	make(&t, "mkdir back && tar -C back -xf out.tar && cmp back/deep/data in/sub/data && test -e back/held");
	keeper_over(&t);
	keeper_close(&t);
}

static void test_bad_files(void **state)
{
	struct keeper_test t;
	struct keeper_spec s;

	keeper_open(&t);
	make(&t, "head -c 30000 /dev/urandom >in.tar");
	keeper_spec(&s, "echo never");
	s.spec.files = true;
	keeper_start(&t, &s);
	say_file(&t, 3, "in.tar");
	keeper_until(&t, keeper_ended(&t));
	assert_int_equal(t.exit->cause, SSI__JOB__EXIT__CAUSE__NOT_STARTED);
	assert_non_null(strstr(t.exit->text, "input cannot be unpacked: "));
	keeper_over(&t);
	keeper_close(&t);
}

static void test_no_result(void **state)
{
	struct keeper_test t;
	struct keeper_spec s;

	keeper_open(&t);
	keeper_spec(&s, "exit 2");
	s.spec.result = (char *)"out";
	keeper_start(&t, &s);
	keeper_until(&t, keeper_ended(&t));
	assert_int_equal(t.exit->status, 2);
	assert_non_null(strstr(t.exit->text, "results cannot be packed: tar: out: "));
	keeper_over(&t);
	keeper_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_travels), cmocka_unit_test(test_ended_early), cmocka_unit_test(test_files), cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_no_result),
	};

	if (geteuid() != 0)
		return 77;
	return cmocka_run_group_tests(tests, NULL, keeper_clean);
}
